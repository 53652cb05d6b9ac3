-- Monthly measures of the golden world, one table a source, written from the English of the fact files. Amounts in yuan.
-- `known(t)` rows stand in views known_<subject>_<table>, made from the rule of knowledge in known_rows.sql.

CREATE TABLE m_enterprise_gov_award AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS awards, coalesce(sum(award_amt), 0)::DOUBLE AS award_amt
FROM known_enterprise_gov_award GROUP BY ALL;

CREATE TABLE m_enterprise_si_employer_month AS
SELECT subject_no AS subject, period, max(insured_cnt)::DOUBLE AS insured, coalesce(sum(base_total_amt), 0)::DOUBLE AS base_amt,
       sum(due_amt)::DOUBLE AS due_amt, sum(paid_amt)::DOUBLE AS paid_amt
FROM known_enterprise_si_employer_month GROUP BY ALL;

CREATE TABLE m_enterprise_tax_arrears AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS items, sum(arrears_amt)::DOUBLE AS arrears_amt,
       max(arrears_age_days)::DOUBLE AS age_days
FROM known_enterprise_tax_arrears GROUP BY ALL;

CREATE TABLE m_enterprise_tax_vat_return AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS returns, sum(taxable_sales_amt)::DOUBLE AS sales_amt,
       coalesce(sum(output_tax_amt), 0)::DOUBLE AS output_tax_amt, sum(tax_payable_amt)::DOUBLE AS tax_amt,
       count(*) FILTER (WHERE zero_return_flag)::DOUBLE AS zero, count(*) FILTER (WHERE filing_date > due_date)::DOUBLE AS late,
       (max(filing_date - due_date) FILTER (WHERE filing_date > due_date))::DOUBLE AS days_late
FROM known_enterprise_tax_vat_return GROUP BY ALL;

CREATE MACRO bills(t) AS TABLE
SELECT subject_no AS subject, period, count(*)::DOUBLE AS bills, sum(bill_amt)::DOUBLE AS bill_amt,
       coalesce(sum(consumption::DECIMAL(18,4)) FILTER (WHERE kind = 'electric'), 0)::DOUBLE AS kwh,
       count(*) FILTER (WHERE paid_date > due_date)::DOUBLE AS late, count(*) FILTER (WHERE paid_date IS NULL)::DOUBLE AS unpaid,
       (max(paid_date - due_date) FILTER (WHERE paid_date > due_date))::DOUBLE AS days_late,
       count(*) FILTER (WHERE auto_debit_flag)::DOUBLE AS auto_debit, count(*) FILTER (WHERE est_flag)::DOUBLE AS estimated,
       count(*) FILTER (WHERE coalesce(cut_flag, false))::DOUBLE AS cut
FROM query_table(t) GROUP BY ALL;
CREATE TABLE m_enterprise_util_bill AS FROM bills('known_enterprise_util_bill');
CREATE TABLE m_resident_util_bill AS SELECT * FROM bills('known_resident_util_bill');

CREATE TABLE m_resident_platform_service AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS cases, count(DISTINCT service_theme)::DOUBLE AS themes,
       count(*) FILTER (WHERE coalesce(channel, '') = 'app')::DOUBLE AS by_app
FROM known_resident_platform_service GROUP BY ALL;

CREATE TABLE m_resident_si_person_month AS
SELECT subject_no AS subject, period, count(*) FILTER (WHERE pay_status IN ('normal', 'back_pay'))::DOUBLE AS paid,
       count(*) FILTER (WHERE pay_status = 'back_pay')::DOUBLE AS back_paid, count(*) FILTER (WHERE pay_status IN ('gap', 'suspended'))::DOUBLE AS gap,
       (max(base_amt) FILTER (WHERE pay_status IN ('normal', 'back_pay')))::DOUBLE AS base_amt,
       count(DISTINCT employer_subject_id)::DOUBLE AS employers,
       coalesce(sum(employer_amt), 0)::DOUBLE AS employer_amt, coalesce(sum(personal_amt), 0)::DOUBLE AS personal_amt
FROM known_resident_si_person_month GROUP BY ALL;

CREATE TABLE m_resident_tax_iit_withholding AS
SELECT subject_no AS subject, period, coalesce(sum(gross_income_amt) FILTER (WHERE income_type = 'wage'), 0)::DOUBLE AS wage_amt,
       coalesce(sum(gross_income_amt), 0)::DOUBLE AS income_amt, coalesce(sum(tax_withheld_amt), 0)::DOUBLE AS tax_amt,
       count(*) FILTER (WHERE income_type = 'wage')::DOUBLE AS wage_records, count(DISTINCT payer_subject_id)::DOUBLE AS payers
FROM known_resident_tax_iit_withholding GROUP BY ALL;

-- Invoices: every row with the statutory rate that its tax comes from (within 0.1 of a point or one fen), and New Year's days.
CREATE TABLE new_years (day DATE);
INSERT INTO new_years VALUES ('2024-02-10'), ('2025-01-29'), ('2026-02-17'), ('2027-02-06');
CREATE TABLE statutory (rate DECIMAL(4,1));
INSERT INTO statutory VALUES (17), (16), (13), (11), (10), (9), (6), (5), (3), (1.5), (1), (0);
CREATE VIEW invoices AS
SELECT i.*, direction = 'out' AND status = 'valid' AS sale, direction = 'in' AND status = 'valid' AS purchase,
       (SELECT arg_min(rate, abs(tax_amt - net_amt * rate / 100)) FROM statutory
        WHERE net_amt <> 0 AND abs(tax_amt - net_amt * rate / 100) <= greatest(abs(net_amt) * 0.001, 0.01)) AS vat_rate,
       (SELECT min(issue_date - day) FROM new_years WHERE day <= issue_date) AS after_new_year,
       (SELECT min(day - issue_date) FROM new_years WHERE day > issue_date) AS before_new_year
FROM known_enterprise_invoice i;

-- Of the blue sales (or purchases) of a month: the shares of the other parties.
CREATE VIEW parties AS
SELECT *, sum(amt) OVER (PARTITION BY subject, period, direction) AS whole,
       row_number() OVER (PARTITION BY subject, period, direction ORDER BY amt DESC) AS place
FROM (SELECT subject_no AS subject, period, direction, counterparty, sum(net_amt)::DOUBLE AS amt
      FROM invoices WHERE status = 'valid' AND net_amt > 0 GROUP BY ALL);
CREATE TABLE shares AS
SELECT subject, period,
       sum(amt) FILTER (WHERE direction = 'out' AND place = 1) / any_value(whole) FILTER (WHERE direction = 'out') AS top1_customer_share,
       sum(amt) FILTER (WHERE direction = 'out' AND place <= 5) / any_value(whole) FILTER (WHERE direction = 'out') AS top5_customer_share,
       sum(amt * amt / whole / whole) FILTER (WHERE direction = 'out') AS customer_hhi,
       sum(amt) FILTER (WHERE direction = 'in' AND place <= 5) / any_value(whole) FILTER (WHERE direction = 'in') AS top5_supplier_share,
       sum(amt * amt / whole / whole) FILTER (WHERE direction = 'in') AS supplier_hhi
FROM parties GROUP BY ALL;
CREATE VIEW gaps AS
SELECT subject, period, max(coalesce(issue_date - before, 0))::DOUBLE AS out_gap_days
FROM (SELECT subject_no AS subject, period, issue_date, lag(issue_date) OVER (PARTITION BY subject_no, period ORDER BY issue_date) AS before
      FROM invoices WHERE direction = 'out') GROUP BY ALL;
CREATE TABLE m_enterprise_invoice AS
SELECT subject_no AS subject, i.period, count(*) FILTER (WHERE sale)::DOUBLE AS out_cnt, coalesce(sum(net_amt) FILTER (WHERE sale), 0)::DOUBLE AS out_amt,
       coalesce(sum(tax_amt) FILTER (WHERE sale), 0)::DOUBLE AS out_tax_amt, count(*) FILTER (WHERE sale AND net_amt < 0)::DOUBLE AS out_red_cnt,
       coalesce(sum(net_amt) FILTER (WHERE sale AND net_amt < 0), 0)::DOUBLE AS out_red_amt,
       count(*) FILTER (WHERE direction = 'out' AND status = 'void')::DOUBLE AS out_void_cnt, count(*) FILTER (WHERE direction = 'out')::DOUBLE AS out_all_cnt,
       (max(net_amt) FILTER (WHERE sale))::DOUBLE AS out_max_amt, any_value(out_gap_days) AS out_gap_days,
       (count(DISTINCT issue_date) FILTER (WHERE sale))::DOUBLE AS out_days,
       (count(DISTINCT counterparty) FILTER (WHERE sale))::DOUBLE AS customers,
       any_value(top5_customer_share) AS top5_customer_share, any_value(customer_hhi) AS customer_hhi,
       count(*) FILTER (WHERE purchase)::DOUBLE AS in_cnt, coalesce(sum(net_amt) FILTER (WHERE purchase), 0)::DOUBLE AS in_amt,
       coalesce(sum(tax_amt) FILTER (WHERE purchase), 0)::DOUBLE AS in_tax_amt, count(*) FILTER (WHERE purchase AND net_amt < 0)::DOUBLE AS in_red_cnt,
       count(*) FILTER (WHERE direction = 'in' AND status = 'void')::DOUBLE AS in_void_cnt, count(*) FILTER (WHERE direction = 'in')::DOUBLE AS in_all_cnt,
       (count(DISTINCT counterparty) FILTER (WHERE purchase))::DOUBLE AS suppliers,
       any_value(top5_supplier_share) AS top5_supplier_share, any_value(supplier_hhi) AS supplier_hhi,
       (coalesce(sum(net_amt) FILTER (WHERE sale), 0) - coalesce(sum(net_amt) FILTER (WHERE purchase), 0))::DOUBLE AS margin_amt,
       coalesce(sum(net_amt) FILTER (WHERE direction = 'out' AND status = 'void'), 0)::DOUBLE AS out_void_amt,
       any_value(top1_customer_share) AS top1_customer_share,
       coalesce(sum(net_amt) FILTER (WHERE sale AND net_amt > 0), 0)::DOUBLE AS out_blue_amt,
       coalesce(sum(net_amt) FILTER (WHERE sale AND vat_rate IN (13, 16, 17)), 0)::DOUBLE AS out_13_amt,
       coalesce(sum(net_amt) FILTER (WHERE sale AND vat_rate IN (9, 10, 11)), 0)::DOUBLE AS out_9_amt,
       coalesce(sum(net_amt) FILTER (WHERE sale AND vat_rate = 6), 0)::DOUBLE AS out_6_amt,
       coalesce(sum(net_amt) FILTER (WHERE sale AND vat_rate IN (3, 5)), 0)::DOUBLE AS out_3_amt,
       coalesce(sum(net_amt) FILTER (WHERE sale AND vat_rate IN (1, 1.5)), 0)::DOUBLE AS out_1_amt,
       coalesce(sum(net_amt) FILTER (WHERE sale AND vat_rate = 0), 0)::DOUBLE AS out_0_amt,
       coalesce(sum(net_amt) FILTER (WHERE purchase AND vat_rate IN (13, 16, 17)), 0)::DOUBLE AS in_13_amt,
       coalesce(sum(net_amt) FILTER (WHERE purchase AND vat_rate IN (1, 1.5, 3, 5)), 0)::DOUBLE AS in_3_amt,
       (min(after_new_year) FILTER (WHERE sale AND after_new_year > 0))::DOUBLE AS reopened_days,
       (min(before_new_year) FILTER (WHERE sale))::DOUBLE AS closed_days
FROM invoices i LEFT JOIN shares s ON s.subject = i.subject_no AND s.period = i.period
     LEFT JOIN gaps g ON g.subject = i.subject_no AND g.period = i.period
GROUP BY ALL;

-- Who traded with whom in which month, and from that who is new (none of the 12 months before), who comes back, who has gone
-- (traded six months ago and never since). Months are numbered; a month with an undelivered one in its look-back tells nothing.
CREATE VIEW trades AS
SELECT subject_no AS subject, direction, counterparty, year(issue_date) * 12 + month(issue_date) AS mo, sum(net_amt) AS amt
FROM invoices WHERE status = 'valid' GROUP BY ALL;
CREATE VIEW delivered_months AS
SELECT DISTINCT period, left(period, 4)::INT * 12 + right(period, 2)::INT AS mo FROM known_deliveries WHERE "table" = 'enterprise.invoice';
CREATE VIEW whose AS
SELECT DISTINCT subject_no AS subject, d.period, d.mo FROM invoices i, delivered_months d
WHERE d.mo - (year(issue_date) * 12 + month(issue_date)) BETWEEN 0 AND 12
  AND EXISTS (SELECT 1 FROM rows_enterprise_invoice r WHERE r.period = d.period);
CREATE MACRO complete(m, back) AS (SELECT count(*) = back + 1 FROM delivered_months dm WHERE dm.mo BETWEEN m - back AND m);
CREATE MACRO seen_between(s, d, c, a, b) AS EXISTS (
    SELECT 1 FROM trades x WHERE x.subject = s AND x.direction = d AND x.counterparty = c AND x.mo BETWEEN a AND b);
CREATE MACRO turnover(d) AS TABLE
WITH flagged AS (
    SELECT w.subject, w.period, w.mo, t.amt, t.mo = w.mo AS now, t.mo = w.mo - 6 AS half_a_year_ago,
           seen_between(w.subject, d, t.counterparty, w.mo - 12, w.mo - 1) AS before,
           seen_between(w.subject, d, t.counterparty, w.mo - 5, w.mo) AS since
    FROM whose w LEFT JOIN trades t ON t.subject = w.subject AND t.direction = d AND t.mo IN (w.mo, w.mo - 6)),
counted AS (
    SELECT subject, period, mo, count(*) FILTER (WHERE now AND NOT before) AS new, count(*) FILTER (WHERE now AND before) AS kept,
           coalesce(sum(amt) FILTER (WHERE now AND before), 0) AS kept_amt, count(*) FILTER (WHERE half_a_year_ago AND NOT since) AS lost
    FROM flagged GROUP BY subject, period, mo)
SELECT subject, period, CASE WHEN complete(counted.mo, 12) THEN new END AS new, CASE WHEN complete(counted.mo, 12) THEN kept END AS kept,
       CASE WHEN complete(counted.mo, 12) THEN kept_amt END AS kept_amt, CASE WHEN complete(counted.mo, 6) THEN lost END AS lost
FROM counted;
CREATE TABLE m_enterprise_invoice_parties AS
SELECT c.subject, c.period, c.new::DOUBLE AS new_customers, c.kept::DOUBLE AS kept_customers, c.kept_amt::DOUBLE AS kept_customer_amt,
       c.lost::DOUBLE AS lost_customers, s.new::DOUBLE AS new_suppliers, s.kept::DOUBLE AS kept_suppliers,
       s.kept_amt::DOUBLE AS kept_supplier_amt, s.lost::DOUBLE AS lost_suppliers
FROM turnover('out') c JOIN turnover('in') s USING (subject, period);
