-- How many of the customers whom a rule takes are in each segment, and in each audience, which stands here as a scheme.
SELECT s.scheme, s.segment, CAST(COUNT(*) AS BIGINT) AS customer_count
FROM customer_segments AS s
WHERE s.customer_id IN (SELECT p.customer_id FROM previewed_customers AS p WHERE p.is_member)
GROUP BY s.scheme, s.segment
ORDER BY s.scheme, s.segment
