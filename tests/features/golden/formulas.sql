-- Window formulas over `w`: one row per subject and month of the window, `t` = 1 for the oldest month, `v` NULL = no record, `over_v` = what it is held against.
-- Each query gives subject and value; $w is the window in months, $n the months of `w`. Blocks are named by their first line.

-- sum
SELECT subject, sum(v) FROM w GROUP BY subject
-- mean
SELECT subject, sum(v) / count(v) FROM w GROUP BY subject
-- min
SELECT subject, min(v) FROM w GROUP BY subject
-- max
SELECT subject, max(v) FROM w GROUP BY subject
-- std
SELECT subject, CASE WHEN count(v) >= 2 THEN sqrt(sum((v - m) ^ 2) / count(v)) END
FROM (SELECT subject, v, avg(v) OVER (PARTITION BY subject) AS m FROM w) GROUP BY subject
-- cv
SELECT subject, CASE WHEN count(v) >= 2 AND max(m) <> 0 THEN sqrt(sum((v - m) ^ 2) / count(v)) / abs(max(m)) END
FROM (SELECT subject, v, avg(v) OVER (PARTITION BY subject) AS m FROM w) GROUP BY subject
-- slope
SELECT subject, CASE WHEN count(v) >= 3 AND max(m) <> 0 THEN sum((t - mt) * (v - m)) / sum((t - mt) ^ 2) / abs(max(m)) END
FROM (SELECT subject, t, v, avg(v) OVER (PARTITION BY subject) AS m, avg(t) OVER (PARTITION BY subject) AS mt FROM w WHERE v IS NOT NULL)
GROUP BY subject
-- last
SELECT subject, arg_max(v, t) FROM w WHERE v IS NOT NULL GROUP BY subject
-- records
SELECT subject, count(v) FROM w GROUP BY subject
-- positive
SELECT subject, count(*) FILTER (WHERE v > 0) FROM w WHERE v IS NOT NULL GROUP BY subject
-- positive_share
SELECT subject, count(*) FILTER (WHERE v > 0) / count(*) FROM w WHERE v IS NOT NULL GROUP BY subject
-- any_positive
SELECT subject, bool_or(v > 0)::INT FROM w WHERE v IS NOT NULL GROUP BY subject
-- longest_gap
SELECT subject, max(following - t - 1)
FROM (SELECT subject, t, lead(t, 1, $n + 1) OVER (PARTITION BY subject ORDER BY t) AS following FROM w WHERE v > 0) GROUP BY subject
-- longest_run
SELECT subject, max(run) FROM (
    SELECT subject, count(*) FILTER (WHERE up) AS run
    FROM (SELECT subject, coalesce(v > 0, false) AS up, count(*) FILTER (WHERE coalesce(v, 0) <= 0) OVER (PARTITION BY subject ORDER BY t) AS island FROM w)
    GROUP BY subject, island)
WHERE subject IN (SELECT subject FROM w WHERE v IS NOT NULL) GROUP BY subject
-- since_positive
SELECT subject, $n - max(t) FROM w WHERE v > 0 GROUP BY subject
-- since_record
SELECT subject, $n - max(t) FROM w WHERE v IS NOT NULL GROUP BY subject
-- change
SELECT subject, CASE WHEN count(*) >= 2 AND arg_min(v, t) <> 0 THEN (arg_max(v, t) - arg_min(v, t)) / abs(arg_min(v, t)) END
FROM w WHERE v IS NOT NULL GROUP BY subject
-- ratio_previous
SELECT subject, sum(v) FILTER (WHERE t > $w) / nullif(sum(v) FILTER (WHERE t <= $w), 0) FROM w GROUP BY subject
-- year_on_year
SELECT subject, sum(v) FILTER (WHERE t > 12) / nullif(sum(v) FILTER (WHERE t <= $w), 0) FROM w GROUP BY subject
-- best_quarter_share
SELECT subject, CASE WHEN sum(here) >= 3 AND sum(v) > 0 THEN max(quarter) FILTER (WHERE t >= 3) / sum(v) END
FROM (SELECT subject, t, v, (v IS NOT NULL)::INT AS here,
             sum(coalesce(v, 0)) OVER (PARTITION BY subject ORDER BY t ROWS 2 PRECEDING) AS quarter FROM w)
GROUP BY subject
-- seasonal_strength
SELECT subject, CASE WHEN count(*) > 12 THEN sum((own - m) ^ 2) / nullif(sum((v - m) ^ 2), 0) END
FROM (SELECT subject, v, avg(v) OVER (PARTITION BY subject) AS m, avg(v) OVER (PARTITION BY subject, t % 12) AS own FROM w WHERE v IS NOT NULL)
GROUP BY subject
-- share_of
SELECT subject, sum(v) / nullif(sum(over_v), 0) FROM w GROUP BY subject
-- months_below
SELECT subject, count(*) FILTER (WHERE v < over_v) FROM w WHERE v IS NOT NULL AND over_v IS NOT NULL GROUP BY subject
-- co_movement
SELECT subject, CASE WHEN count(*) >= 6 AND min(v) < max(v) AND min(o) < max(o)
    THEN sum((v - mv) * (o - mo)) / sqrt(sum((v - mv) ^ 2) * sum((o - mo) ^ 2)) END
FROM (SELECT subject, v, over_v AS o, avg(v) OVER (PARTITION BY subject) AS mv, avg(over_v) OVER (PARTITION BY subject) AS mo
      FROM w WHERE v IS NOT NULL AND over_v IS NOT NULL) GROUP BY subject
-- rises
SELECT subject, CASE WHEN count(*) >= 2 THEN count(*) FILTER (WHERE v > before) END
FROM (SELECT subject, v, lag(v) OVER (PARTITION BY subject ORDER BY t) AS before FROM w WHERE v IS NOT NULL) GROUP BY subject
-- falls
SELECT subject, CASE WHEN count(*) >= 2 THEN count(*) FILTER (WHERE v < before) END
FROM (SELECT subject, v, lag(v) OVER (PARTITION BY subject ORDER BY t) AS before FROM w WHERE v IS NOT NULL) GROUP BY subject
-- level_change
SELECT subject, CASE WHEN count(*) >= 2 THEN arg_max(v, t) - arg_min(v, t) END FROM w WHERE v IS NOT NULL GROUP BY subject
-- current_run
SELECT subject, count(*) FILTER (WHERE t > coalesce(stopped, 0))
FROM (SELECT subject, t, max(CASE WHEN v <= 0 THEN t END) OVER (PARTITION BY subject) AS stopped FROM w WHERE v IS NOT NULL) GROUP BY subject
-- peak_share
SELECT subject, max(v) / nullif(sum(v), 0) FROM w GROUP BY subject
-- last_of_peak
SELECT subject, arg_max(v, t) / nullif(max(v), 0) FROM w WHERE v IS NOT NULL GROUP BY subject
-- worst_on_year
SELECT n.subject, min(n.v / b.v) FROM w n JOIN w b ON b.subject = n.subject AND b.t = n.t - 12
WHERE n.v IS NOT NULL AND b.v > 0 GROUP BY n.subject
-- down_on_year
SELECT n.subject, count(*) FILTER (WHERE n.v < 0.7 * b.v) FROM w n JOIN w b ON b.subject = n.subject AND b.t = n.t - 12
WHERE n.v IS NOT NULL AND b.v > 0 GROUP BY n.subject
-- changes
SELECT subject, count(*) FILTER (WHERE v <> before AND floor(v / 2 ^ 48) = floor(before / 2 ^ 48))
FROM (SELECT subject, v, lag(v) OVER (PARTITION BY subject ORDER BY t) AS before FROM w WHERE v IS NOT NULL) GROUP BY subject
-- held
SELECT subject, max(t) - coalesce(max(CASE WHEN v <> before AND floor(v / 2 ^ 48) = floor(before / 2 ^ 48) THEN t END), min(t)) + 1
FROM (SELECT subject, t, v, lag(v) OVER (PARTITION BY subject ORDER BY t) AS before FROM w WHERE v IS NOT NULL) GROUP BY subject
