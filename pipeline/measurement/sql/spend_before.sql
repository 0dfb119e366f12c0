-- What each customer had spent in the window before a day, net of refunds, as it was known then.
SELECT customer_id, CAST(SUM(order_amount - refund_amount) AS DECIMAL(18, 4)) AS spend_amount
FROM customer_days
WHERE order_day >= $first_day AND order_day <= $last_day AND event_day <= $last_day
GROUP BY customer_id
ORDER BY customer_id
