-- Since when?
-- Every problem that was there between {since} and {until}, and since when it has been there without
-- a pause of more than {quiet} seconds (60 or more) on all nodes. {since} and {until} are whole
-- minutes. What has been there since before {since} has its first moment after it.

WITH
    minutes AS
    (
        SELECT
            problem,
            minute,
            min(sums.first) AS first,
            max(sums.last) AS last,
            sum(sums.packets) AS packets
        FROM droplog.drop_minutes AS sums
        WHERE minute >= {since:DateTime('UTC')} AND minute < {until:DateTime('UTC')}
        GROUP BY problem, minute
    ),
    paused AS
    (
        SELECT
            problem,
            first,
            last,
            packets,
            lagInFrame(last) OVER (PARTITION BY problem ORDER BY minute) AS last_before,
            toUnixTimestamp64Nano(first) - toUnixTimestamp64Nano(last_before)
                > {quiet:UInt32} * 1000000000 AS begins
        FROM minutes
    )
SELECT
    table_name,
    reason,
    rule_name,
    rule_match,
    ethertype,
    ip_protocol,
    destination_port,
    max(if(begins, paused.first, toDateTime64(0, 9, 'UTC'))) AS begun,
    max(paused.last) AS seen,
    any(listed.first) AS first_ever,
    sum(packets) AS all_packets,
    problem
FROM paused
LEFT JOIN droplog.problem_list AS listed USING (problem)
GROUP BY ALL
ORDER BY begun DESC, problem;
