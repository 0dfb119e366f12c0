-- What each visitor did from $visits_first_day to the end of $day: visits, and the order-days that came of them.
WITH visitors AS (
  SELECT customer_id, CAST(COUNT(*) AS BIGINT) AS visit_count
  FROM visits
  WHERE event_day BETWEEN $visits_first_day AND $day
  GROUP BY customer_id
),
buyers AS (
  SELECT customer_id, CAST(COUNT(DISTINCT order_day) AS BIGINT) AS order_day_count
  FROM customer_days
  WHERE line_count > 0 AND order_day BETWEEN $visits_first_day AND $day
  GROUP BY customer_id
)
SELECT v.customer_id, v.visit_count, COALESCE(b.order_day_count, 0) AS order_day_count
FROM visitors AS v
LEFT JOIN buyers AS b ON b.customer_id = v.customer_id
ORDER BY v.customer_id
