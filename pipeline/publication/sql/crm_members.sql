-- Who is on which list: segments, audiences and arms of campaigns, of the publication, without whoever said no since, and without whom
-- campaigns leave alone.
WITH listed AS (
  SELECT customer_id, 'audience' AS list_kind, audience AS list_name
  FROM audience_members
  UNION ALL
  SELECT customer_id, 'segment' AS list_kind, scheme || '.' || segment AS list_name
  FROM customer_segments
  UNION ALL
  SELECT customer_id, 'campaign' AS list_kind, 'campaign.' || campaign_id || '.' || arm AS list_name
  FROM campaign_arms
  WHERE NOT is_control AND NOT is_holdout
)
SELECT l.customer_id, l.list_kind, l.list_name
FROM listed AS l
LEFT JOIN standings AS g ON g.customer_id = l.customer_id
LEFT JOIN withheld_lists AS w ON w.customer_id = l.customer_id AND w.list_name = l.list_name
WHERE g.removal_reason IS DISTINCT FROM 'consent_withdrawn' AND w.customer_id IS NULL
ORDER BY l.customer_id, l.list_kind, l.list_name
