-- What each customer did since the previous night, the first that applies: ordered, gave back, what was learned late of earlier
-- days, or visited.
-- new_days are the event days since then; of earlier event days those whose rows differ, as known then (..._before) and now (..._now).
WITH late_days AS (
  SELECT event_day, customer_id, order_day, order_count, line_count, discounted_line_count, add_on_line_count, order_amount, full_price_amount, discount_amount,
    refund_amount
  FROM days_before
  EXCEPT
  SELECT event_day, customer_id, order_day, order_count, line_count, discounted_line_count, add_on_line_count, order_amount, full_price_amount, discount_amount,
    refund_amount
  FROM days_now
),
learned_days AS (
  SELECT event_day, customer_id, order_day, order_count, line_count, discounted_line_count, add_on_line_count, order_amount, full_price_amount, discount_amount,
    refund_amount
  FROM days_now
  EXCEPT
  SELECT event_day, customer_id, order_day, order_count, line_count, discounted_line_count, add_on_line_count, order_amount, full_price_amount, discount_amount,
    refund_amount
  FROM days_before
),
late_categories AS (
  SELECT event_day, customer_id, order_day, category, channel, category_day_count, line_count, order_amount
  FROM categories_before
  EXCEPT
  SELECT event_day, customer_id, order_day, category, channel, category_day_count, line_count, order_amount
  FROM categories_now
),
learned_categories AS (
  SELECT event_day, customer_id, order_day, category, channel, category_day_count, line_count, order_amount
  FROM categories_now
  EXCEPT
  SELECT event_day, customer_id, order_day, category, channel, category_day_count, line_count, order_amount
  FROM categories_before
),
late_visits AS (
  SELECT event_day, customer_id, visit_id FROM visits_before
  EXCEPT
  SELECT event_day, customer_id, visit_id FROM visits_now
),
learned_visits AS (
  SELECT event_day, customer_id, visit_id FROM visits_now
  EXCEPT
  SELECT event_day, customer_id, visit_id FROM visits_before
),
found AS (
  SELECT customer_id, CASE WHEN line_count > 0 THEN 1 ELSE 2 END AS place FROM new_days
  UNION ALL
  SELECT customer_id, 3 AS place FROM late_days
  UNION ALL
  SELECT customer_id, 3 AS place FROM learned_days
  UNION ALL
  SELECT customer_id, 3 AS place FROM late_categories
  UNION ALL
  SELECT customer_id, 3 AS place FROM learned_categories
  UNION ALL
  SELECT customer_id, 4 AS place FROM late_visits
  UNION ALL
  SELECT customer_id, 4 AS place FROM learned_visits
  UNION ALL
  SELECT customer_id, 4 AS place FROM new_visits
)
SELECT customer_id, CASE MIN(place) WHEN 1 THEN 'own_purchase' WHEN 2 THEN 'refund' WHEN 3 THEN 'late_data' ELSE 'own_visit' END AS doing
FROM found
GROUP BY customer_id
