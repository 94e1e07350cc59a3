-- Settings of accounts: what the operator has set for all, under what each has of its own.

-- By field, as JSON has them; null until a node has read its configuration for the first time.
alter table installation add column account_defaults jsonb;

-- Every setting was copied into each account when it was made, so that a default could never change for it. What is as
-- it was built in then is nobody's own; what was copied from the configuration, the first node takes out.
update account a set settings = (
    select coalesce(jsonb_object_agg(s.key, s.value), '{}') from jsonb_each(a.settings) s
    where s.value is distinct from jsonb '{"email": "", "firstname": "", "lastname": "", "company": "", "transactional": false, "window": "fr-seed",
        "reports_url": "", "replies_url": "", "reports_method": "GET", "reports_waiting": true, "sender": "",
        "senders_denied": [], "senders_allowed": [], "numbers_own_only": false, "sender_strict": false,
        "sender_needs_stop": false, "stop_mention": "", "stop_mention_automatic": false, "stop_words": [],
        "start_words": [], "stop_confirmation": "", "stop_blocks_transactional": true, "lowcost_enabled": true,
        "unicode_enabled": true, "sandbox_reports": false, "errors_as_http_200": false,
        "schedule_zero_may_be_absent": false, "status_date_as_text": false, "numbers_per_request_max": 500,
        "message_characters_max": 640, "message_language": "fr", "addresses_allowed": [], "master": "",
        "price_premium_micros": 38000, "price_lowcost_micros": 23000, "price_hlr_micros": 5000,
        "price_allmysms_micros": 45000, "prices": {}, "requests_per_minute": 0}' -> s.key);
