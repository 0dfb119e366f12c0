-- The members of a campaign of the CRM, by the ids it lists; who is unknown tonight is not measured.
SELECT m.customer_id, m.arm, s.segment, CAST(NULL AS DECIMAL(18, 4)) AS spend_amount
FROM listed_members AS m
JOIN known_ids AS k ON k.customer_id = m.customer_id
LEFT JOIN strata_segments AS s ON s.customer_id = m.customer_id
