-- The visits of merged customers as those of the survivors.
SELECT v.event_day, v.known_on, v.visit_id, s.survivor_id AS customer_id, v.visited_at
FROM visits_by_source_id AS v
JOIN customer_survivors AS s ON s.customer_id = v.customer_id
