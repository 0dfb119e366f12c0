SELECT scheme, segment, CAST(COUNT(*) AS BIGINT) AS customer_count FROM customer_segments GROUP BY scheme, segment
