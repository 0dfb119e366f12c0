-- Each membership that differs from the previous night's, with the first reason that applies. Who is in no segment on one side is
-- new or gone where there are no features of both nights; else the scheme did not apply to them, and what changed that is the reason.
-- A trial is a row per customer and scheme of what tonight's rules say of features that are only partly tonight's;
-- the lowest step at which a customer leaves the segment they were in tells what took them from there.
WITH departures AS (
  SELECT t.customer_id, t.scheme, MIN(t.step) AS step
  FROM trials AS t
  JOIN moved AS m ON m.customer_id = t.customer_id AND m.scheme = t.scheme
  WHERE t.segment IS DISTINCT FROM m.from_segment
  GROUP BY t.customer_id, t.scheme
)
SELECT
  m.customer_id,
  m.scheme,
  m.from_segment,
  m.to_segment,
  CASE
    WHEN NOT c.is_on_both THEN c.reason
    WHEN m.from_segment IS NULL AND p.customer_id IS NULL THEN 'new_customer'
    WHEN m.to_segment IS NULL AND p.customer_id IS NULL THEN 'left'
    WHEN d.step = 0 THEN c.reason
    WHEN d.step = 2 THEN 'attribute_change'
    WHEN c.is_resettled THEN 'rule_change'
    WHEN d.step = 1 THEN p.doing
    WHEN d.step = 3 THEN c.limits
    WHEN d.step = 4 THEN 'ageing'
    ELSE c.shift
  END AS reason
FROM moved AS m
JOIN scheme_changes AS c ON c.scheme = m.scheme
LEFT JOIN departures AS d ON d.customer_id = m.customer_id AND d.scheme = m.scheme
LEFT JOIN moved_features AS p ON p.customer_id = m.customer_id
ORDER BY m.customer_id, m.scheme
