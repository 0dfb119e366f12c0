-- Who is on which list: segments and audiences of the publication, without whoever said no since.
WITH listed AS (
  SELECT customer_id, 'audience' AS list_kind, audience AS list_name
  FROM audience_members
  UNION ALL
  SELECT customer_id, 'segment' AS list_kind, scheme || '.' || segment AS list_name
  FROM customer_segments
)
SELECT l.customer_id, l.list_kind, l.list_name
FROM listed AS l
LEFT JOIN standings AS g ON g.customer_id = l.customer_id
WHERE g.removal_reason IS DISTINCT FROM 'consent_withdrawn'
ORDER BY l.customer_id, l.list_kind, l.list_name
