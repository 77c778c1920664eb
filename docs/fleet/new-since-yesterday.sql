-- What is new since yesterday?
-- Problems that were seen for the first time, on any node, at {since} or later.

SELECT
    table_name,
    reason,
    rule_name,
    rule_match,
    ethertype,
    ip_protocol,
    destination_port,
    listed.first AS first_ever,
    uniqExact(node) AS nodes,
    sum(sums.packets) AS packets,
    problem
FROM droplog.problem_list AS listed
INNER JOIN droplog.drop_minutes AS sums USING (problem)
WHERE listed.first >= {since:DateTime64(9, 'UTC')}
    AND sums.minute >= toStartOfMinute({since:DateTime64(9, 'UTC')})
GROUP BY ALL
ORDER BY first_ever, problem;
