-- Customers by their scores, as far as these are known.
SELECT r_score, fm_score, CAST(COUNT(*) AS BIGINT) AS customer_count, CAST(SUM(spend_amount) AS DECIMAL(18, 4)) AS spend_amount
FROM customer_features
WHERE r_score IS NOT NULL AND fm_score IS NOT NULL
GROUP BY r_score, fm_score
ORDER BY r_score, fm_score
