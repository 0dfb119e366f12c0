-- How many of each segment's buyers in each stratum have each subject. With an empty subject: of how many anything of that kind is known.
WITH known AS (
  SELECT DISTINCT subject_kind, '' AS subject, customer_id FROM insight_subjects
),
counted AS (
  SELECT subject_kind, subject, customer_id FROM insight_subjects WHERE subject <> ''
  UNION ALL
  SELECT subject_kind, subject, customer_id FROM known
)
SELECT
  s.scheme,
  c.subject_kind,
  c.subject,
  s.segment,
  b.stratum,
  CAST(COUNT(*) AS BIGINT) AS customer_count
FROM counted AS c
JOIN insight_buyers AS b ON b.customer_id = c.customer_id
JOIN customer_segments AS s ON s.customer_id = c.customer_id
GROUP BY s.scheme, c.subject_kind, c.subject, s.segment, b.stratum
ORDER BY s.scheme, c.subject_kind, c.subject, s.segment, b.stratum
