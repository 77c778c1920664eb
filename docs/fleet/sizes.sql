-- What does a drop take on the disk?
-- Rows and compressed bytes of each table, indexes included. Parts that are not merged yet take
-- more.

SELECT
    table,
    sum(rows) AS records,
    sum(bytes_on_disk) AS bytes,
    bytes / records AS bytes_a_record
FROM system.parts
WHERE active AND database = 'droplog'
GROUP BY table
ORDER BY bytes DESC;
