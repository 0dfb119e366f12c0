-- What each customer did from the first to the last day: orders, spend net of refunds, visits. Who did nothing has no row.
WITH bought AS (
  SELECT
    customer_id,
    CAST(SUM(order_count) AS BIGINT) AS order_count,
    CAST(SUM(order_amount - refund_amount) AS DECIMAL(18, 4)) AS spend_amount
  FROM customer_days
  WHERE order_day >= $first_day AND order_day <= $last_day
  GROUP BY customer_id
),
visited AS (
  SELECT customer_id
  FROM visits
  WHERE customer_id IS NOT NULL AND event_day >= $first_day AND event_day <= $last_day
  GROUP BY customer_id
)
SELECT
  COALESCE(b.customer_id, v.customer_id) AS customer_id,
  COALESCE(b.order_count, 0) AS order_count,
  COALESCE(b.spend_amount, 0) AS spend_amount,
  v.customer_id IS NOT NULL AS has_visited
FROM bought AS b
FULL JOIN visited AS v ON v.customer_id = b.customer_id
ORDER BY customer_id
