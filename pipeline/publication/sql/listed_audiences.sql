-- The audiences that a profile names: those of crm_members, so that nobody is picked by the profile who is on no list.
SELECT m.customer_id, m.audience
FROM audience_members AS m
LEFT JOIN campaign_arms AS c ON c.customer_id = m.customer_id AND c.is_control AND c.list_name = m.audience
LEFT JOIN campaign_arms AS h ON h.customer_id = m.customer_id AND h.is_control AND h.is_holdout
WHERE c.customer_id IS NULL AND h.customer_id IS NULL
ORDER BY m.customer_id, m.audience
