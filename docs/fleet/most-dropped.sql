-- Who is dropped most?
-- The senders with the most dropped packets from {since} to {until}; {top}: how many of them.

SELECT
    if(source_ip != '', source_ip, source_mac) AS source,
    sum(drops.packets) AS packets,
    uniqExact(node) AS nodes,
    uniqExact(problem) AS problems,
    uniqExact(destination_ip) AS destinations,
    min(drops.first_time) AS first,
    max(drops.time) AS last
FROM droplog.drops AS drops
WHERE time >= {since:DateTime64(9, 'UTC')} AND time < {until:DateTime64(9, 'UTC')}
GROUP BY source
ORDER BY packets DESC, source
LIMIT {top:UInt32};
