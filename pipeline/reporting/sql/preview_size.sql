-- How many customers there are, their spend in the window, how many of them a rule takes, of how many it is unknown, and the first
-- $sample of the ids of those whom it takes. In previewed_customers are those of whom it is not false.
SELECT
  whole.everybody_count,
  whole.everybody_amount,
  previewed.customer_count,
  previewed.spend_amount,
  previewed.unknown_count,
  previewed.customer_ids
FROM (
  SELECT CAST(COUNT(*) AS BIGINT) AS everybody_count, CAST(COALESCE(SUM(spend_amount), 0) AS DECIMAL(18, 4)) AS everybody_amount
  FROM everybody
) AS whole
CROSS JOIN (
  SELECT
    CAST(COUNT(CASE WHEN is_member THEN 1 END) AS BIGINT) AS customer_count,
    CAST(COALESCE(SUM(CASE WHEN is_member THEN spend_amount END), 0) AS DECIMAL(18, 4)) AS spend_amount,
    CAST(COUNT(CASE WHEN is_member IS NULL THEN 1 END) AS BIGINT) AS unknown_count,
    MIN(CASE WHEN is_member THEN customer_id END, $sample) AS customer_ids
  FROM previewed_customers
) AS previewed
