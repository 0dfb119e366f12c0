-- Sales of each day that had any, from `first` to `last` and from `first_before` to `last_before`. What was given back lowers the day of its order.
WITH sold AS (
  SELECT
    d.order_day,
    CAST(SUM(d.order_count) AS BIGINT) AS order_count,
    CAST(COUNT(DISTINCT CASE WHEN d.order_count > 0 THEN COALESCE(s.survivor_id, d.customer_id) END) AS BIGINT) AS customer_count,
    CAST(SUM(d.order_amount) - SUM(d.refund_amount) AS DECIMAL(18, 4)) AS spend_amount
  FROM customer_days AS d
  LEFT JOIN customer_survivors AS s ON s.customer_id = d.customer_id
  WHERE (d.order_day >= $first AND d.order_day <= $last) OR (d.order_day >= $first_before AND d.order_day <= $last_before)
  GROUP BY d.order_day
),
came AS (
  SELECT first_order_date, CAST(COUNT(*) AS BIGINT) AS customer_count FROM customer_features WHERE first_order_date IS NOT NULL GROUP BY first_order_date
)
SELECT d.order_day, d.order_count, d.customer_count, COALESCE(c.customer_count, 0) AS new_customer_count, d.spend_amount
FROM sold AS d
LEFT JOIN came AS c ON c.first_order_date = d.order_day
ORDER BY d.order_day
