-- Monthly measures of the golden world, one table a source, written from the English of the fact files. Amounts in yuan.
-- Rows as known stand in known_<subject>_<table>, made from the rule of knowledge in known_rows.sql.

-- The end of a month; its number; and whether an event that ended (or happened) on a day counts there still, having to lie less
-- than three years back. One without a day goes on.
CREATE MACRO month_end(period) AS last_day((period || '-01')::DATE);
CREATE MACRO month_no(day) AS year(day) * 12 + month(day);
CREATE MACRO young(day, period) AS (day IS NULL OR month_no(month_end(period)) - month_no(day) < 36);
-- A pseudonym as a number: the version of its key times 2^48 and the first twelve hexadecimal digits.
CREATE MACRO identity(p) AS split_part(p[2:], ':', 1)::BIGINT * 281474976710656 + ('0x' || split_part(p, ':', 2)[1:12])::BIGINT;
-- Position of a code in a list from best to worst, 0 the best.
CREATE MACRO place(code, codes) AS nullif(list_position(codes, code), 0) - 1;

-- Enterprises

CREATE TABLE m_enterprise_gov_award AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS awards, count(*) FILTER (WHERE role = 'winner')::DOUBLE AS alone,
       coalesce(sum(award_amt), 0)::DOUBLE AS award_amt, max(award_amt)::DOUBLE AS largest_amt
FROM known_enterprise_gov_award GROUP BY ALL;

CREATE TABLE m_enterprise_si_employer_month AS
SELECT subject_no AS subject, period, max(insured_cnt)::DOUBLE AS insured, coalesce(sum(base_total_amt), 0)::DOUBLE AS base_amt,
       sum(due_amt)::DOUBLE AS due_amt, sum(paid_amt)::DOUBLE AS paid_amt, count(DISTINCT scheme)::DOUBLE AS schemes,
       count(*) FILTER (WHERE paid_amt <= 0 AND due_amt > 0)::DOUBLE AS nothing_paid,
       count(*) FILTER (WHERE NOT full_received_flag)::DOUBLE AS not_full,
       max(arrears_amt)::DOUBLE AS arrears_amt, max(arrears_months)::DOUBLE AS arrears_months
FROM known_enterprise_si_employer_month GROUP BY ALL;

CREATE TABLE m_enterprise_tax_arrears AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS items, sum(arrears_amt)::DOUBLE AS arrears_amt,
       coalesce(sum(arrears_amt) FILTER (WHERE tax_item_cd = 'VAT'), 0)::DOUBLE AS vat_amt,
       count(*) FILTER (WHERE tax_item_cd = 'CIT')::DOUBLE AS cit_items, max(arrears_age_days)::DOUBLE AS age_days
FROM known_enterprise_tax_arrears GROUP BY ALL;

CREATE TABLE m_enterprise_tax_vat_return AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS returns, sum(taxable_sales_amt)::DOUBLE AS sales_amt,
       coalesce(sum(output_tax_amt), 0)::DOUBLE AS output_tax_amt, sum(tax_payable_amt)::DOUBLE AS tax_amt,
       max(exempt_sales_amt)::DOUBLE AS exempt_amt, max(export_sales_amt)::DOUBLE AS export_amt,
       max(input_tax_amt)::DOUBLE AS input_tax_amt, max(carried_credit_amt)::DOUBLE AS credit_amt,
       count(*) FILTER (WHERE zero_return_flag)::DOUBLE AS zero, count(*) FILTER (WHERE amend_flag)::DOUBLE AS amended,
       max(filing_date - due_date)::DOUBLE AS filing_lag, count(*) FILTER (WHERE filing_date > due_date)::DOUBLE AS late,
       count(*) FILTER (WHERE filing_date > due_date + 10)::DOUBLE AS very_late,
       (max(filing_date - due_date) FILTER (WHERE filing_date > due_date))::DOUBLE AS days_late
FROM known_enterprise_tax_vat_return GROUP BY ALL;

CREATE TABLE m_enterprise_tax_payment AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS vouchers, coalesce(sum(paid_amt) FILTER (WHERE amt_kind = 'tax'), 0)::DOUBLE AS tax_amt,
       coalesce(sum(paid_amt) FILTER (WHERE amt_kind = 'tax' AND tax_item_cd = 'VAT'), 0)::DOUBLE AS vat_amt,
       (count(DISTINCT tax_item_cd) FILTER (WHERE amt_kind = 'tax'))::DOUBLE AS tax_items,
       coalesce(sum(paid_amt) FILTER (WHERE amt_kind = 'refund'), 0)::DOUBLE AS refund_amt,
       count(*) FILTER (WHERE amt_kind = 'late_fee')::DOUBLE AS late_fees,
       coalesce(sum(paid_amt) FILTER (WHERE amt_kind = 'late_fee'), 0)::DOUBLE AS late_fee_amt,
       count(*) FILTER (WHERE amt_kind = 'penalty')::DOUBLE AS penalties
FROM known_enterprise_tax_payment GROUP BY ALL;

CREATE TABLE m_enterprise_tax_cit_return AS
WITH each AS (SELECT *, kind = 'prepay_q' AS quarter FROM known_enterprise_tax_cit_return)
SELECT subject_no AS subject, period, count(*) FILTER (WHERE quarter)::DOUBLE AS prepayments,
       (max(revenue_amt) FILTER (WHERE quarter))::DOUBLE AS revenue_amt, (max(total_profit_amt) FILTER (WHERE quarter))::DOUBLE AS profit_amt,
       (max(cit_payable_amt) FILTER (WHERE quarter))::DOUBLE AS tax_amt, count(*) FILTER (WHERE quarter AND total_profit_amt < 0)::DOUBLE AS losses,
       max(asset_total_amt)::DOUBLE AS assets_amt, max(liab_total_amt)::DOUBLE AS debts_amt, max(employee_cnt)::DOUBLE AS employees
FROM each GROUP BY ALL;

CREATE TABLE m_enterprise_tax_credit_rating AS
WITH each AS (SELECT *, place(rating, ['A', 'B', 'M', 'C', 'D']) AS below, young(coalesce(valid_to, eval_date), period) AS counts
              FROM known_enterprise_tax_credit_rating)
SELECT subject_no AS subject, period, count(*)::DOUBLE AS evaluations, max(below)::DOUBLE AS rank,
       (max(below) FILTER (WHERE regime = 'SAT2014'))::DOUBLE AS rank_2014, (max(below) FILTER (WHERE regime = 'SAT2025'))::DOUBLE AS rank_2025,
       max(score)::DOUBLE AS score, (max(score) FILTER (WHERE regime = 'SAT2014'))::DOUBLE AS score_2014,
       (max(score) FILTER (WHERE regime = 'SAT2025'))::DOUBLE AS score_2025, count(*) FILTER (WHERE rating = 'A')::DOUBLE AS best,
       count(*) FILTER (WHERE rating = 'M')::DOUBLE AS new, count(*) FILTER (WHERE rating IN ('C', 'D') AND counts)::DOUBLE AS poor,
       count(*) FILTER (WHERE direct_d_flag AND counts)::DOUBLE AS direct_d
FROM each GROUP BY ALL;

-- A penalty or an event as such grows old from its end or else its date; a state (`lasts`) only from its end.
CREATE TABLE m_enterprise_tax_event AS
WITH each AS (SELECT *, young(coalesce(removed_date, event_date), period) AS counts, young(removed_date, period) AS lasts
              FROM known_enterprise_tax_event)
SELECT subject_no AS subject, period, count(*) FILTER (WHERE counts)::DOUBLE AS events,
       count(*) FILTER (WHERE event = 'abnormal_household' AND lasts)::DOUBLE AS abnormal,
       count(*) FILTER (WHERE event = 'abnormal_household' AND removed_date IS NULL)::DOUBLE AS still_abnormal,
       count(*) FILTER (WHERE event = 'late_filing_penalty' AND counts)::DOUBLE AS late_penalties,
       count(*) FILTER (WHERE event = 'major_violation' AND counts)::DOUBLE AS violations,
       count(*) FILTER (WHERE event = 'invoice_restricted' AND lasts)::DOUBLE AS restricted,
       coalesce(sum(amt) FILTER (WHERE counts), 0)::DOUBLE AS penalty_amt
FROM each GROUP BY ALL;

CREATE TABLE m_enterprise_reg_adverse AS
WITH each AS (SELECT *, young(coalesce(removed_date, listed_date), period) AS counts, young(removed_date, period) AS lasts
              FROM known_enterprise_reg_adverse)
SELECT subject_no AS subject, period, count(*) FILTER (WHERE counts)::DOUBLE AS listings,
       count(*) FILTER (WHERE listing = 'abnormal' AND lasts)::DOUBLE AS abnormal,
       count(*) FILTER (WHERE listing = 'abnormal' AND removed_date IS NULL)::DOUBLE AS still_abnormal,
       count(*) FILTER (WHERE listing = 'serious_violation' AND lasts)::DOUBLE AS serious,
       count(*) FILTER (WHERE listing = 'dishonest_debtor' AND lasts)::DOUBLE AS dishonest,
       count(*) FILTER (WHERE listing = 'admin_penalty' AND counts)::DOUBLE AS penalties,
       coalesce(sum(amt) FILTER (WHERE listing = 'admin_penalty' AND counts), 0)::DOUBLE AS penalty_amt
FROM each GROUP BY ALL;

CREATE TABLE m_enterprise_tax_inspection AS
WITH each AS (SELECT *, young(coalesce(close_date, open_date), period) AS counts FROM known_enterprise_tax_inspection)
SELECT subject_no AS subject, period, count(*) FILTER (WHERE counts)::DOUBLE AS cases,
       count(*) FILTER (WHERE close_date IS NULL AND young(open_date, period))::DOUBLE AS open,
       count(*) FILTER (WHERE penalty_amt > 0 AND counts)::DOUBLE AS with_penalty,
       coalesce(sum(recovered_amt) FILTER (WHERE counts), 0)::DOUBLE AS recovered_amt,
       coalesce(sum(penalty_amt) FILTER (WHERE counts), 0)::DOUBLE AS penalty_amt,
       count(*) FILTER (WHERE judicial_flag AND counts)::DOUBLE AS judicial, (max(close_date - open_date) FILTER (WHERE counts))::DOUBLE AS days_open
FROM each GROUP BY ALL;

CREATE TABLE m_enterprise_reg_enterprise AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS changes, max(month_end(period) - est_date)::DOUBLE AS age_days,
       max(reg_capital_amt)::DOUBLE AS capital_amt, max(place(reg_state, ['open', 'moved', 'revoked', 'cancelled']))::DOUBLE AS state
FROM known_enterprise_reg_enterprise GROUP BY ALL;

CREATE TABLE m_enterprise_hpf_employer_month AS
SELECT subject_no AS subject, period, max(payer_cnt)::DOUBLE AS payers, sum(paid_amt)::DOUBLE AS paid_amt,
       count(*) FILTER (WHERE paid_amt > 0)::DOUBLE AS paid, count(*) FILTER (WHERE paid_amt <= 0)::DOUBLE AS unpaid
FROM known_enterprise_hpf_employer_month GROUP BY ALL;

CREATE TABLE m_enterprise_util_account AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS accounts, coalesce(sum(capacity_kva) FILTER (WHERE kind = 'electric'), 0)::DOUBLE AS capacity,
       count(*) FILTER (WHERE tariff = 'ic_two_part')::DOUBLE AS two_part, max(month_end(period) - valid_from)::DOUBLE AS age_days
FROM known_enterprise_util_account GROUP BY ALL;

CREATE TABLE m_enterprise_util_disconnection AS
WITH each AS (SELECT *, young(coalesce(restore_date, cut_date), period) AS counts FROM known_enterprise_util_disconnection)
SELECT subject_no AS subject, period, count(*) FILTER (WHERE reason = 'arrears' AND counts)::DOUBLE AS cuts,
       count(*) FILTER (WHERE reason = 'arrears' AND restore_date IS NULL)::DOUBLE AS still_off,
       (max(restore_date - cut_date) FILTER (WHERE reason = 'arrears' AND counts))::DOUBLE AS days_off,
       count(*) FILTER (WHERE reason = 'illegal_use' AND counts)::DOUBLE AS illegal
FROM each GROUP BY ALL;

CREATE TABLE m_enterprise_util_payment AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS receipts, sum(paid_amt)::DOUBLE AS paid_amt,
       count(*) FILTER (WHERE channel IN ('bank', 'auto_debit'))::DOUBLE AS by_bank, count(DISTINCT channel)::DOUBLE AS channels
FROM known_enterprise_util_payment GROUP BY ALL;

CREATE TABLE m_enterprise_bk_account_month AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS accounts, sum(balance_amt)::DOUBLE AS balance_amt,
       max(months_on_book)::DOUBLE AS months_on_book, max(dpd)::DOUBLE AS dpd, max(max_dpd_m)::DOUBLE AS worst_dpd,
       count(*) FILTER (WHERE max_dpd_m > 0)::DOUBLE AS past_due, count(*) FILTER (WHERE max_dpd_m >= 30)::DOUBLE AS over_30,
       max(place(five_class, ['normal', 'special_mention', 'substandard', 'doubtful', 'loss']))::DOUBLE AS class_rank
FROM known_enterprise_bk_account_month GROUP BY ALL;

CREATE TABLE m_enterprise_bk_customer AS
SELECT subject_no AS subject, period, count(*) FILTER (WHERE is_customer)::DOUBLE AS customer,
       max(place(deposit_band, ['0', '<1k', '1k-10k', '10k-50k', '50k-200k', '>200k']))::DOUBLE AS deposit_band,
       max(month_end(period) - since_date)::DOUBLE AS since_days
FROM known_enterprise_bk_customer GROUP BY ALL;

CREATE TABLE m_enterprise_mk_response AS
SELECT subject_no AS subject, period, count(*) FILTER (WHERE event IN ('click', 'visit'))::DOUBLE AS clicks,
       count(*) FILTER (WHERE event IN ('apply', 'approve'))::DOUBLE AS applied,
       count(*) FILTER (WHERE event IN ('open', 'activate', 'drawdown', 'deposit'))::DOUBLE AS opened
FROM known_enterprise_mk_response GROUP BY ALL;

-- Of both

CREATE MACRO bills(t) AS TABLE
SELECT subject_no AS subject, period, count(*)::DOUBLE AS bills, sum(bill_amt)::DOUBLE AS bill_amt,
       coalesce(sum(consumption::DECIMAL(18,4)) FILTER (WHERE kind = 'electric'), 0)::DOUBLE AS kwh,
       count(*) FILTER (WHERE kind IN ('water', 'gas'))::DOUBLE AS water_gas,
       count(*) FILTER (WHERE kind = 'electric' AND consumption <= 0)::DOUBLE AS unused,
       count(*) FILTER (WHERE paid_date > due_date)::DOUBLE AS late, count(*) FILTER (WHERE paid_date > due_date + 30)::DOUBLE AS very_late,
       count(*) FILTER (WHERE paid_date >= due_date + 30)::DOUBLE AS late_30,
       count(*) FILTER (WHERE kind = 'electric' AND paid_date > due_date)::DOUBLE AS electric_late,
       count(*) FILTER (WHERE kind = 'water' AND paid_date > due_date)::DOUBLE AS water_late,
       count(*) FILTER (WHERE kind = 'gas' AND paid_date > due_date)::DOUBLE AS gas_late,
       count(*) FILTER (WHERE paid_date IS NULL)::DOUBLE AS unpaid, coalesce(sum(bill_amt) FILTER (WHERE paid_date IS NULL), 0)::DOUBLE AS unpaid_amt,
       coalesce(sum(bill_amt) FILTER (WHERE paid_date > due_date), 0)::DOUBLE AS late_amt,
       (max(paid_date - due_date) FILTER (WHERE paid_date > due_date))::DOUBLE AS days_late,
       coalesce(sum(paid_date - due_date) FILTER (WHERE paid_date > due_date), 0)::DOUBLE AS days_late_sum,
       count(*) FILTER (WHERE auto_debit_flag)::DOUBLE AS auto_debit, count(*) FILTER (WHERE est_flag)::DOUBLE AS estimated,
       count(*) FILTER (WHERE coalesce(cut_flag, false))::DOUBLE AS cut
FROM query_table(t) GROUP BY ALL;
CREATE TABLE m_enterprise_util_bill AS FROM bills('known_enterprise_util_bill');
CREATE TABLE m_resident_util_bill AS FROM bills('known_resident_util_bill');

CREATE MACRO utility_arrears(t) AS TABLE
SELECT subject_no AS subject, period, count(*)::DOUBLE AS accounts, max(arrears_terms)::DOUBLE AS terms, sum(arrears_amt)::DOUBLE AS arrears_amt,
       coalesce(sum(late_fee_amt), 0)::DOUBLE AS late_fee_amt
FROM query_table(t) GROUP BY ALL;
CREATE TABLE m_enterprise_util_arrears_month AS FROM utility_arrears('known_enterprise_util_arrears_month');
CREATE TABLE m_resident_util_arrears_month AS FROM utility_arrears('known_resident_util_arrears_month');

CREATE MACRO applications(t) AS TABLE
SELECT subject_no AS subject, period, count(*)::DOUBLE AS applications, count(*) FILTER (WHERE decision = 'declined')::DOUBLE AS declined,
       count(*) FILTER (WHERE decision = 'approved')::DOUBLE AS approved, count(*) FILTER (WHERE decision = 'withdrawn')::DOUBLE AS withdrawn
FROM query_table(t) GROUP BY ALL;
CREATE TABLE m_enterprise_bk_application AS FROM applications('known_enterprise_bk_application');
CREATE TABLE m_resident_bk_application AS FROM applications('known_resident_bk_application');

-- Residents

CREATE TABLE m_resident_platform_service AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS cases, count(DISTINCT service_theme)::DOUBLE AS themes,
       count(*) FILTER (WHERE coalesce(channel, '') = 'app')::DOUBLE AS by_app, count(*) FILTER (WHERE channel IN ('app', 'web'))::DOUBLE AS online,
       count(*) FILTER (WHERE result IN ('rejected', 'withdrawn'))::DOUBLE AS rejected,
       count(*) FILTER (WHERE service_theme IN ('business_licence', 'tax_registration'))::DOUBLE AS business,
       count(*) FILTER (WHERE service_theme IN ('real_estate_registration', 'utility_transfer'))::DOUBLE AS property,
       count(*) FILTER (WHERE service_theme IN ('housing_fund_enquiry', 'housing_fund_withdrawal'))::DOUBLE AS housing_fund,
       count(*) FILTER (WHERE service_theme IN ('vehicle', 'driving_licence'))::DOUBLE AS vehicle,
       count(*) FILTER (WHERE service_theme = 'school_enrolment')::DOUBLE AS school,
       count(*) FILTER (WHERE service_theme IN ('professional_qualification', 'talent_service'))::DOUBLE AS career
FROM known_resident_platform_service GROUP BY ALL;

CREATE TABLE m_resident_platform_login_day AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS days, sum(sessions)::DOUBLE AS sessions,
       count(*) FILTER (WHERE real_name_level IN ('face', 'bankcard'))::DOUBLE AS verified
FROM known_resident_platform_login_day GROUP BY ALL;

CREATE TABLE m_resident_si_person_month AS
WITH each AS (SELECT *, pay_status IN ('normal', 'back_pay') AS contributed FROM known_resident_si_person_month)
SELECT subject_no AS subject, period, count(*) FILTER (WHERE contributed)::DOUBLE AS paid, count(*) FILTER (WHERE pay_status = 'normal')::DOUBLE AS on_time,
       count(*) FILTER (WHERE pay_status = 'back_pay')::DOUBLE AS back_paid, count(*) FILTER (WHERE pay_status IN ('gap', 'suspended'))::DOUBLE AS gap,
       count(*) FILTER (WHERE pay_status = 'suspended')::DOUBLE AS suspended, (max(base_amt) FILTER (WHERE contributed))::DOUBLE AS base_amt,
       count(DISTINCT employer_subject_id)::DOUBLE AS employers, (min(identity(employer_subject_id)) FILTER (WHERE contributed))::DOUBLE AS employer,
       coalesce(sum(employer_amt), 0)::DOUBLE AS employer_amt, coalesce(sum(personal_amt), 0)::DOUBLE AS personal_amt
FROM each GROUP BY ALL;

CREATE TABLE m_resident_si_person_status AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS changes, count(*) FILTER (WHERE status IN ('paused', 'terminated'))::DOUBLE AS paused,
       count(*) FILTER (WHERE flexible_emp_flag)::DOUBLE AS flexible
FROM known_resident_si_person_status GROUP BY ALL;

CREATE TABLE m_resident_tax_iit_withholding AS
SELECT subject_no AS subject, period, coalesce(sum(gross_income_amt) FILTER (WHERE income_type = 'wage'), 0)::DOUBLE AS wage_amt,
       coalesce(sum(gross_income_amt), 0)::DOUBLE AS income_amt, coalesce(sum(gross_income_amt) FILTER (WHERE income_type <> 'wage'), 0)::DOUBLE AS other_amt,
       coalesce(sum(tax_withheld_amt), 0)::DOUBLE AS tax_amt, count(*) FILTER (WHERE income_type = 'wage')::DOUBLE AS wage_records,
       count(*) FILTER (WHERE income_type = 'labour')::DOUBLE AS labour_records, count(DISTINCT payer_subject_id)::DOUBLE AS payers,
       (min(identity(payer_subject_id)) FILTER (WHERE income_type = 'wage'))::DOUBLE AS wage_payer
FROM known_resident_tax_iit_withholding GROUP BY ALL;

CREATE TABLE m_resident_hpf_person_month AS
SELECT subject_no AS subject, period, count(*) FILTER (WHERE acct_status = 'normal')::DOUBLE AS active, count(*) FILTER (WHERE acct_status = 'sealed')::DOUBLE AS sealed,
       count(*) FILTER (WHERE acct_status IN ('withdrawn', 'transferred'))::DOUBLE AS closed, max(base_amt)::DOUBLE AS base_amt,
       coalesce(sum(month_amt), 0)::DOUBLE AS month_amt, coalesce(sum(balance_amt), 0)::DOUBLE AS balance_amt, max(person_rate)::DOUBLE AS rate,
       (min(identity(employer_subject_id)) FILTER (WHERE acct_status = 'normal'))::DOUBLE AS employer
FROM known_resident_hpf_person_month GROUP BY ALL;

CREATE TABLE m_resident_bk_account_month AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS accounts, count(*) FILTER (WHERE product = 'card')::DOUBLE AS cards,
       max(dpd)::DOUBLE AS dpd, max(max_dpd_m)::DOUBLE AS worst_dpd, count(*) FILTER (WHERE max_dpd_m > 0)::DOUBLE AS past_due,
       count(*) FILTER (WHERE max_dpd_m >= 30)::DOUBLE AS past_due_30, count(*) FILTER (WHERE five_class <> 'normal')::DOUBLE AS special_mention,
       count(*) FILTER (WHERE restructured_flag)::DOUBLE AS restructured, sum(balance_amt)::DOUBLE AS balance_amt,
       coalesce(sum(balance_amt) FILTER (WHERE dpd > 0), 0)::DOUBLE AS past_due_amt, coalesce(sum(due_amt), 0)::DOUBLE AS due_amt,
       coalesce(sum(paid_amt), 0)::DOUBLE AS paid_amt, max(months_on_book)::DOUBLE AS months_on_book
FROM known_resident_bk_account_month GROUP BY ALL;

CREATE TABLE m_resident_bk_credit_account AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS opened FROM known_resident_bk_credit_account GROUP BY ALL;

CREATE TABLE m_resident_bk_customer AS
SELECT subject_no AS subject, period, count(*) FILTER (WHERE is_customer)::DOUBLE AS customer,
       max(place(deposit_band, ['0', '<1k', '1k-10k', '10k-50k', '50k-200k', '>200k']))::DOUBLE AS deposit_rank
FROM known_resident_bk_customer GROUP BY ALL;

-- `paid_at` is a moment: the day in China counts, which is the session's zone.
CREATE TABLE m_resident_edu_fee_payment AS
WITH each AS (SELECT *, paid_at::DATE - due_date AS lag FROM known_resident_edu_fee_payment)
SELECT subject_no AS subject, period, count(due_date)::DOUBLE AS due_bills, count(*) FILTER (WHERE lag <= 0)::DOUBLE AS before_due,
       count(*) FILTER (WHERE lag > 0)::DOUBLE AS late, (max(lag) FILTER (WHERE lag > 0))::DOUBLE AS days_late,
       count(*) FILTER (WHERE instalment_flag)::DOUBLE AS instalments
FROM each GROUP BY ALL;

CREATE TABLE m_resident_mk_assignment AS
SELECT subject_no AS subject, period, count(*) FILTER (WHERE arm IN ('treat', 'non_personalised'))::DOUBLE AS contacted
FROM known_resident_mk_assignment GROUP BY ALL;

CREATE TABLE m_resident_mk_response AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS responses, count(*) FILTER (WHERE event = 'apply')::DOUBLE AS applied
FROM known_resident_mk_response GROUP BY ALL;

CREATE TABLE m_resident_nontax_bill AS
SELECT subject_no AS subject, period, count(*) FILTER (WHERE category = 'fine')::DOUBLE AS fines,
       count(*) FILTER (WHERE category = 'fine' AND status = 'issued')::DOUBLE AS fines_open,
       coalesce(sum(due_amt) FILTER (WHERE category = 'fine' AND status = 'issued'), 0)::DOUBLE AS fine_open_amt,
       count(*) FILTER (WHERE status IN ('issued', 'paid'))::DOUBLE AS notices, count(*) FILTER (WHERE status = 'issued')::DOUBLE AS notices_open
FROM known_resident_nontax_bill GROUP BY ALL;

CREATE TABLE m_resident_util_disconnection AS
SELECT subject_no AS subject, period, count(*) FILTER (WHERE reason = 'arrears')::DOUBLE AS for_arrears,
       count(*) FILTER (WHERE reason = 'arrears' AND restore_date IS NULL)::DOUBLE AS not_restored,
       coalesce(sum(restore_date - cut_date) FILTER (WHERE reason = 'arrears'), 0)::DOUBLE AS days_cut
FROM known_resident_util_disconnection GROUP BY ALL;

CREATE TABLE m_resident_veh_registration AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS registered, count(*) FILTER (WHERE commercial_flag)::DOUBLE AS commercial,
       count(*) FILTER (WHERE mortgaged_flag)::DOUBLE AS mortgaged
FROM known_resident_veh_registration GROUP BY ALL;

CREATE TABLE m_resident_veh_violation AS
SELECT subject_no AS subject, period, count(*)::DOUBLE AS events, coalesce(sum(points), 0)::DOUBLE AS points,
       count(*) FILTER (WHERE paid_date IS NULL)::DOUBLE AS unpaid, coalesce(sum(fine_amt) FILTER (WHERE paid_date IS NULL), 0)::DOUBLE AS unpaid_amt,
       max(paid_date - violation_date)::DOUBLE AS days_to_pay
FROM known_resident_veh_violation GROUP BY ALL;

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
SELECT DISTINCT period, left(period, 4)::INT * 12 + right(period, 2)::INT AS mo
FROM known_deliveries JOIN rows_enterprise_invoice USING (delivery_no, period);
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

-- Residents, told of their employer: the enterprise that a person's insurance month names, by the measures above in that month.

CREATE TABLE enterprise_names AS
FROM (VALUES (0, 'k1:0000000000010000000000000000000000000000'), (1, 'k1:0000000000020000000000000000000000000000'),
             (2, 'k1:0000000000030000000000000000000000000000')) AS n (enterprise, pseudonym);
-- Who is named and has no number is an employer all the same; months in the way of the other tables: '2026-08'.
CREATE TABLE employer AS
SELECT m.subject, m.period, n.enterprise FROM m_resident_si_person_month m
LEFT JOIN enterprise_names n ON identity(n.pseudonym)::DOUBLE = m.employer WHERE m.employer IS NOT NULL;
CREATE MACRO months_before(period, n) AS strftime((period || '-01')::DATE - to_months(n), '%Y-%m');
CREATE MACRO part(now_, then_) AS CASE WHEN then_ > 0 THEN now_ / then_ END;
-- Whether a source of events only has told of the month: no event is 0 then.
CREATE TABLE events_told AS
SELECT DISTINCT 'tax_arrears' AS source, period FROM rows_enterprise_tax_arrears JOIN deliveries d USING (delivery_no, period) WHERE d.received_at <= getvariable('cutoff')
UNION SELECT DISTINCT 'tax_event', period FROM rows_enterprise_tax_event JOIN deliveries d USING (delivery_no, period) WHERE d.received_at <= getvariable('cutoff');

CREATE TABLE m_resident_employer_insurance AS
SELECT e.subject, e.period, i.insured, part(i.insured, h.insured) AS half_year, part(i.insured, y.insured) AS year, i.due_amt, i.paid_amt, i.not_full, i.nothing_paid,
       i.arrears_amt, i.arrears_months
FROM employer e
LEFT JOIN m_enterprise_si_employer_month i ON (i.subject, i.period) = (e.enterprise, e.period)
LEFT JOIN m_enterprise_si_employer_month h ON (h.subject, h.period) = (e.enterprise, months_before(e.period, 6))
LEFT JOIN m_enterprise_si_employer_month y ON (y.subject, y.period) = (e.enterprise, months_before(e.period, 12));

CREATE TABLE m_resident_employer_tax_arrears AS
SELECT e.subject, e.period, CASE WHEN t.period IS NOT NULL THEN coalesce(a.items, 0) END AS items,
       CASE WHEN t.period IS NOT NULL THEN coalesce(a.arrears_amt, 0) END AS arrears_amt
FROM employer e LEFT JOIN m_enterprise_tax_arrears a ON (a.subject, a.period) = (e.enterprise, e.period)
LEFT JOIN events_told t ON (t.source, t.period) = ('tax_arrears', e.period);

CREATE TABLE m_resident_employer_tax_event AS
SELECT e.subject, e.period, CASE WHEN t.period IS NOT NULL THEN coalesce(a.events, 0) END AS events,
       CASE WHEN t.period IS NOT NULL THEN coalesce(a.still_abnormal, 0) END AS still_abnormal,
       CASE WHEN t.period IS NOT NULL THEN coalesce(a.restricted, 0) END AS restricted
FROM employer e LEFT JOIN m_enterprise_tax_event a ON (a.subject, a.period) = (e.enterprise, e.period)
LEFT JOIN events_told t ON (t.source, t.period) = ('tax_event', e.period);

CREATE TABLE m_resident_employer_tax_vat_return AS
SELECT e.subject, e.period, part(v.sales_amt, y.sales_amt) AS sales_year, v.late
FROM employer e LEFT JOIN m_enterprise_tax_vat_return v ON (v.subject, v.period) = (e.enterprise, e.period)
LEFT JOIN m_enterprise_tax_vat_return y ON (y.subject, y.period) = (e.enterprise, months_before(e.period, 12));
