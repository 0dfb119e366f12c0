-- The audiences that a profile names: those of crm_members, so that nobody is picked by the profile who is on no list.
SELECT m.customer_id, m.audience
FROM audience_members AS m
LEFT JOIN withheld_lists AS w ON w.customer_id = m.customer_id AND w.list_name = m.audience
WHERE w.customer_id IS NULL
ORDER BY m.customer_id, m.audience
