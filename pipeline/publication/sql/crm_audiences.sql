-- Members of audiences who agreed, with the hashes of their addresses as far as they have any.
SELECT m.customer_id, m.list_name, h.email_sha256, h.phone_sha256
FROM crm_members AS m
JOIN address_hashes AS h ON h.customer_id = m.customer_id
WHERE m.list_kind = 'audience'
ORDER BY m.customer_id, m.list_name
