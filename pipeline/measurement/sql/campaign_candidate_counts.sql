-- How many customers of an audience can take part, and how many cannot, by reason.
SELECT excluded_by, CAST(COUNT(*) AS BIGINT) AS customer_count
FROM campaign_candidates
GROUP BY excluded_by
ORDER BY excluded_by
