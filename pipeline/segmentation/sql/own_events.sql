-- What each customer who moved did since the previous night: was united with another one, was learned of late, gave back, ordered.
-- Visits and other events are added to `found`, table by table.
-- What a merged customer did is the survivor's.
-- ..._new are the event days since then; of earlier event days those whose rows differ, as known then (..._before) and now (..._now).
WITH late_days AS (
  SELECT event_day, customer_id, order_day, order_count, line_count, discount_known_line_count, discounted_line_count, add_on_line_count, order_amount,
    discount_known_amount, full_price_amount, discount_amount, refund_amount
  FROM customer_days_before
  EXCEPT
  SELECT event_day, customer_id, order_day, order_count, line_count, discount_known_line_count, discounted_line_count, add_on_line_count, order_amount,
    discount_known_amount, full_price_amount, discount_amount, refund_amount
  FROM customer_days_now
),
learned_days AS (
  SELECT event_day, customer_id, order_day, order_count, line_count, discount_known_line_count, discounted_line_count, add_on_line_count, order_amount,
    discount_known_amount, full_price_amount, discount_amount, refund_amount
  FROM customer_days_now
  EXCEPT
  SELECT event_day, customer_id, order_day, order_count, line_count, discount_known_line_count, discounted_line_count, add_on_line_count, order_amount,
    discount_known_amount, full_price_amount, discount_amount, refund_amount
  FROM customer_days_before
),
late_categories AS (
  SELECT event_day, customer_id, order_day, category, channel, category_day_count, line_count, order_amount
  FROM customer_day_categories_before
  EXCEPT
  SELECT event_day, customer_id, order_day, category, channel, category_day_count, line_count, order_amount
  FROM customer_day_categories_now
),
learned_categories AS (
  SELECT event_day, customer_id, order_day, category, channel, category_day_count, line_count, order_amount
  FROM customer_day_categories_now
  EXCEPT
  SELECT event_day, customer_id, order_day, category, channel, category_day_count, line_count, order_amount
  FROM customer_day_categories_before
),
found AS (
  SELECT customer_id, 'own_purchase' AS event FROM customer_days_new WHERE line_count > 0
  UNION ALL
  SELECT customer_id, 'refund' AS event FROM customer_days_new WHERE line_count = 0 OR refund_amount > 0
  UNION ALL
  SELECT customer_id, 'late_data' AS event FROM late_days
  UNION ALL
  SELECT customer_id, 'late_data' AS event FROM learned_days
  UNION ALL
  SELECT customer_id, 'late_data' AS event FROM late_categories
  UNION ALL
  SELECT customer_id, 'late_data' AS event FROM learned_categories
  UNION ALL
  SELECT customer_id, 'identity_merge' AS event FROM regrouped_customers
),
owned AS (
  SELECT COALESCE(s.survivor_id, f.customer_id) AS customer_id, f.event
  FROM found AS f
  LEFT JOIN customer_survivors AS s ON s.customer_id = f.customer_id
)
SELECT
  o.customer_id,
  MAX(CASE WHEN o.event = 'identity_merge' THEN 1 ELSE 0 END) = 1 AS has_merge,
  MAX(CASE WHEN o.event = 'own_event' THEN 1 ELSE 0 END) = 1 AS has_event,
  MAX(CASE WHEN o.event = 'late_data' THEN 1 ELSE 0 END) = 1 AS has_late_data,
  MAX(CASE WHEN o.event = 'refund' THEN 1 ELSE 0 END) = 1 AS has_refund,
  MAX(CASE WHEN o.event = 'own_purchase' THEN 1 ELSE 0 END) = 1 AS has_purchase
FROM owned AS o
WHERE o.customer_id IN (SELECT customer_id FROM movers)
GROUP BY o.customer_id
ORDER BY o.customer_id
