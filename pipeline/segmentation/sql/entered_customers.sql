-- Who is in a segment and was not on the night of `flow_windows`: those whose first move since then began elsewhere and whose last one led there.
WITH ends AS (
  SELECT m.customer_id, MIN(m.night) AS first_night, MAX(m.night) AS last_night
  FROM moves AS m
  JOIN flow_windows AS w ON m.night > w.since_night
  WHERE m.scheme = $scheme
  GROUP BY m.customer_id
)
SELECT e.customer_id
FROM ends AS e
JOIN moves AS f ON f.night = e.first_night AND f.scheme = $scheme AND f.customer_id = e.customer_id
JOIN moves AS l ON l.night = e.last_night AND l.scheme = $scheme AND l.customer_id = e.customer_id
WHERE l.to_segment = $segment AND f.from_segment IS DISTINCT FROM $segment AND l.reason IN ('told_reasons')
ORDER BY e.customer_id
