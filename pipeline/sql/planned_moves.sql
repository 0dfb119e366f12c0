-- Who is in which segment before and after: one row per scheme, segment before and segment after, with customers, their spend and
-- the first $sample of their ids. Every customer is planned, in no segment where the scheme goes.
SELECT
  a.scheme AS scheme,
  b.segment AS from_segment,
  a.segment AS to_segment,
  CAST(COUNT(*) AS BIGINT) AS customer_count,
  CAST(COALESCE(SUM(a.spend_amount), 0) AS DECIMAL(18, 4)) AS spend_amount,
  CAST(COUNT(CASE WHEN a.segment <> b.segment OR a.evidence <> b.evidence OR a.segment IS NULL OR b.segment IS NULL THEN 1 END) AS BIGINT)
    AS write_count,
  MIN(a.customer_id, $sample) AS customer_ids
FROM planned_segments AS a
LEFT JOIN live_segments AS b ON b.customer_id = a.customer_id AND b.scheme = a.scheme
GROUP BY a.scheme, b.segment, a.segment
ORDER BY scheme, from_segment, to_segment
