-- By which rule?
-- Packets from {since} to {until} by the rule that dropped them; without a rule, by the table where
-- nothing matched. Cookies are not in it: an agent gives a rule another one on each node.

SELECT
    table_name,
    reason,
    rule_name,
    rule_priority,
    rule_match,
    sum(drops.packets) AS packets,
    uniqExact(node) AS nodes,
    uniqExact(if(source_ip != '', source_ip, source_mac)) AS sources,
    min(drops.first_time) AS first,
    max(drops.time) AS last
FROM droplog.drops AS drops
WHERE time >= {since:DateTime64(9, 'UTC')} AND time < {until:DateTime64(9, 'UTC')}
GROUP BY table_name, reason, rule_name, rule_priority, rule_match
ORDER BY packets DESC, table_name, rule_name;
