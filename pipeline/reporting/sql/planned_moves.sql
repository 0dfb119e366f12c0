-- Who is in which segment before and after: one row per scheme, segment before and segment after, with customers, their spend and,
-- where the two differ, the first $sample of their ids.
SELECT
  scheme,
  from_segment,
  to_segment,
  CAST(COUNT(*) AS BIGINT) AS customer_count,
  CAST(COALESCE(SUM(spend_amount), 0) AS DECIMAL(18, 4)) AS spend_amount,
  CAST(COUNT(CASE WHEN is_written THEN 1 END) AS BIGINT) AS write_count,
  MIN(CASE WHEN from_segment IS DISTINCT FROM to_segment THEN customer_id END, $sample) AS customer_ids
FROM planned_customers
GROUP BY scheme, from_segment, to_segment
ORDER BY scheme, from_segment, to_segment
