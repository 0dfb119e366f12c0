-- Who is in which segment before and after: one row per scheme, segment before and segment after, with customers, their spend and
-- the first $sample of their ids.
SELECT
  COALESCE(a.scheme, b.scheme) AS scheme,
  b.segment AS from_segment,
  a.segment AS to_segment,
  CAST(COUNT(*) AS BIGINT) AS customer_count,
  CAST(COALESCE(SUM(f.spend_amount), 0) AS DECIMAL(18, 4)) AS spend_amount,
  CAST(COUNT(CASE WHEN a.segment <> b.segment OR a.evidence <> b.evidence OR a.segment IS NULL OR b.segment IS NULL THEN 1 END) AS BIGINT)
    AS write_count,
  MIN(COALESCE(a.customer_id, b.customer_id), $sample) AS customer_ids
FROM planned_segments AS a
FULL JOIN live_segments AS b ON b.customer_id = a.customer_id AND b.scheme = a.scheme
LEFT JOIN customer_features AS f ON f.customer_id = COALESCE(a.customer_id, b.customer_id)
GROUP BY COALESCE(a.scheme, b.scheme), b.segment, a.segment
ORDER BY scheme, from_segment, to_segment
