-- On how many nodes at once?
-- Every problem between {since} and {until} (whole minutes): on how many nodes in its widest minute,
-- which minute that was (the first of them), and on how many nodes in all.

SELECT
    table_name,
    reason,
    rule_name,
    rule_match,
    ethertype,
    ip_protocol,
    destination_port,
    max(nodes) AS nodes_in_a_minute,
    argMin(minute, (-toInt64(nodes), minute)) AS widest_minute,
    uniqExactMerge(node_state) AS nodes_in_all,
    problem
FROM
(
    SELECT
        problem,
        minute,
        uniqExact(node) AS nodes,
        uniqExactState(node) AS node_state
    FROM droplog.drop_minutes
    WHERE minute >= {since:DateTime('UTC')} AND minute < {until:DateTime('UTC')}
    GROUP BY problem, minute
) AS minutes
LEFT JOIN droplog.problem_list AS listed USING (problem)
GROUP BY ALL
ORDER BY nodes_in_a_minute DESC, problem;
