SELECT customer_id FROM customer_segments WHERE scheme = $scheme AND segment = $segment ORDER BY customer_id LIMIT $limit
