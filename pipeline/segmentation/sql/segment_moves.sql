-- Each membership that differs from the previous night's, with its one reason. Who is in no segment on one side is new or gone where
-- there are no features of both nights; else the scheme did not apply to them, and what changed that is the reason.
-- A trial is a row per customer and scheme of what tonight's rules say of other features than tonight's.
-- Steps below 10 turn the features of the previous night into tonight's, own events left out: the lowest at which a customer leaves
-- the segment they were in tells what took them from there. Steps from 10 on leave out own events, 10 all of them: the highest that
-- keeps a customer from where they are tells which of them took them there. Whom only age can have moved is not tried.
WITH told AS (
  SELECT
    t.customer_id,
    t.scheme,
    MIN(CASE WHEN t.step < 10 AND t.segment IS DISTINCT FROM m.from_segment THEN t.step END) AS left_at,
    MAX(CASE WHEN t.step >= 10 AND t.segment IS DISTINCT FROM m.to_segment THEN t.step END) AS missed_at
  FROM trials AS t
  JOIN moved AS m ON m.customer_id = t.customer_id AND m.scheme = t.scheme
  GROUP BY t.customer_id, t.scheme
)
SELECT
  m.customer_id,
  m.scheme,
  m.from_segment,
  m.to_segment,
  CASE
    WHEN NOT c.is_on_both THEN c.reason
    WHEN g.customer_id IS NOT NULL AND p.customer_id IS NULL THEN 'identity_merge'
    WHEN m.from_segment IS NULL AND p.customer_id IS NULL THEN 'new_customer'
    WHEN m.to_segment IS NULL AND p.customer_id IS NULL THEN 'left'
    WHEN t.left_at = 0 THEN c.reason
    WHEN t.missed_at = 10 AND e.has_merge THEN 'identity_merge'
    WHEN t.missed_at <= 11 AND e.has_event THEN 'own_event'
    WHEN t.missed_at <= 12 AND e.has_late_data THEN 'late_data'
    WHEN t.missed_at <= 13 AND e.has_refund THEN 'refund'
    WHEN t.missed_at IS NOT NULL THEN 'own_purchase'
    WHEN t.left_at = 1 THEN 'attribute_change'
    WHEN c.is_resettled THEN 'rule_change'
    WHEN p.is_relearned THEN 'late_data'
    WHEN t.left_at = 2 THEN c.limits
    WHEN t.left_at = 3 OR (c.only_ages AND NOT p.is_tried) THEN 'ageing'
    ELSE c.shift
  END AS reason
FROM moved AS m
JOIN scheme_changes AS c ON c.scheme = m.scheme
LEFT JOIN told AS t ON t.customer_id = m.customer_id AND t.scheme = m.scheme
LEFT JOIN own_events AS e ON e.customer_id = m.customer_id
LEFT JOIN merged_customers AS g ON g.customer_id = m.customer_id
LEFT JOIN compared_movers AS p ON p.customer_id = m.customer_id
ORDER BY m.customer_id, m.scheme
