-- Whom a campaign is for, and who of them cannot take part, each for one reason.
SELECT
  m.customer_id,
  COALESCE(m.spend_amount, 0) AS spend_amount,
  s.segment,
  CASE
    WHEN u.customer_id IS NOT NULL THEN 'left_out'
    WHEN h.customer_id IS NOT NULL THEN 'holdout'
    WHEN c.customer_id IS NOT NULL THEN 'other_campaign'
    ELSE ''
  END AS excluded_by
FROM campaign_members_by_rule AS m
LEFT JOIN strata_segments AS s ON s.customer_id = m.customer_id
LEFT JOIN unmeasured_customers AS u ON u.customer_id = m.customer_id
LEFT JOIN held_out_customers AS h ON h.customer_id = m.customer_id
LEFT JOIN taken_customers AS c ON c.customer_id = m.customer_id
WHERE m.is_member
ORDER BY m.customer_id
