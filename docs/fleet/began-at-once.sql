-- Which problem began within ten seconds on more than ten nodes?
-- Problems that began between {since} and {until} (whole minutes) on more than {nodes} nodes within
-- ten seconds (the 10000 milliseconds below), with the most nodes of such ten seconds and their
-- begin. On a node a problem begins with its first drop, and anew after more than {quiet} seconds
-- (60 or more) without one.

WITH
    minutes AS
    (
        SELECT
            problem,
            node,
            minute,
            min(sums.first) AS first,
            max(sums.last) AS last
        FROM droplog.drop_minutes AS sums
        WHERE minute >= {since:DateTime('UTC')} - {quiet:UInt32} - 60
            AND minute < {until:DateTime('UTC')}
        GROUP BY problem, node, minute
    ),
    paused AS
    (
        SELECT
            problem,
            first,
            lagInFrame(last) OVER (PARTITION BY problem, node ORDER BY minute) AS last_before
        FROM minutes
    ),
    begins AS
    (
        SELECT
            problem,
            first,
            toUnixTimestamp64Milli(first) AS moment
        FROM paused
        WHERE toUnixTimestamp64Nano(first) - toUnixTimestamp64Nano(last_before)
                > {quiet:UInt32} * 1000000000
            AND first >= {since:DateTime('UTC')}
    ),
    windows AS
    (
        SELECT
            problem,
            first,
            count() OVER (
                PARTITION BY problem ORDER BY moment
                RANGE BETWEEN CURRENT ROW AND 10000 FOLLOWING
            ) AS nodes_at_once
        FROM begins
    )
SELECT
    table_name,
    reason,
    rule_name,
    rule_match,
    ethertype,
    ip_protocol,
    destination_port,
    max(nodes_at_once) AS began_on_nodes,
    argMin(windows.first, (-toInt64(nodes_at_once), windows.first)) AS began,
    problem
FROM windows
LEFT JOIN droplog.problem_list AS listed USING (problem)
GROUP BY ALL
HAVING began_on_nodes > {nodes:UInt32}
ORDER BY began_on_nodes DESC, problem;
