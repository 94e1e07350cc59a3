-- What is written about a message stands in about the order of messages, and not quite: receipts come a day late, scheduled
-- messages leave after months, blanked rows move to wherever there is room, calls about replies have ids below zero. One such
-- row in a range of pages made the range seem to hold every message between: with ten million stored, the timeline of one
-- read hundreds of megabytes. These keep several intervals for each range, so that what lies outside stays by itself.
drop index reference_message, receipt_message, webhook_attempt_message, event_message;
create index reference_message on reference using brin (message_id int8_minmax_multi_ops (values_per_range = 16))
    with (pages_per_range = 8, autosummarize = on);
create index receipt_message on receipt using brin (message_id int8_minmax_multi_ops (values_per_range = 16))
    with (pages_per_range = 8, autosummarize = on);
create index webhook_attempt_message on webhook_attempt using brin (message_id int8_minmax_multi_ops (values_per_range = 16))
    with (pages_per_range = 8, autosummarize = on);
create index event_message on event using brin (message_id int8_minmax_multi_ops (values_per_range = 16))
    with (pages_per_range = 8, autosummarize = on);
