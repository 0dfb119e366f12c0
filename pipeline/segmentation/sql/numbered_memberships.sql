-- Who of the numbered customers is in which segment, by their number.
SELECT s.scheme, s.segment, n.place
FROM customer_segments AS s
JOIN numbered_customers AS n ON n.customer_id = s.customer_id
ORDER BY s.scheme, n.place
