-- Net moves since the night of each of `flow_windows`: from where a customer's first move since then led away to where the last one led.
-- `moves` are those of all nights since the earliest of them, with their night.
WITH ends AS (
  SELECT w.nights, w.since_night, m.scheme, m.customer_id, MIN(m.night) AS first_night, MAX(m.night) AS last_night
  FROM moves AS m
  JOIN flow_windows AS w ON m.night > w.since_night
  GROUP BY w.nights, w.since_night, m.scheme, m.customer_id
)
SELECT
  CAST(e.nights AS BIGINT) AS nights,
  e.scheme,
  f.from_segment,
  l.to_segment,
  l.reason,
  e.since_night,
  CAST(COUNT(*) AS BIGINT) AS customer_count,
  CAST(SUM(COALESCE(c.spend_amount, 0)) AS DECIMAL(18, 4)) AS spend_amount,
  CAST(SUM(COALESCE(c.lifetime_spend_amount, 0)) AS DECIMAL(18, 4)) AS lifetime_spend_amount
FROM ends AS e
JOIN moves AS f ON f.night = e.first_night AND f.scheme = e.scheme AND f.customer_id = e.customer_id
JOIN moves AS l ON l.night = e.last_night AND l.scheme = e.scheme AND l.customer_id = e.customer_id
LEFT JOIN customer_features AS c ON c.customer_id = e.customer_id
WHERE f.from_segment IS DISTINCT FROM l.to_segment
GROUP BY e.nights, e.scheme, f.from_segment, l.to_segment, l.reason, e.since_night
ORDER BY nights, e.scheme, f.from_segment NULLS FIRST, l.to_segment NULLS FIRST, l.reason
