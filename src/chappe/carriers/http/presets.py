"""Services that a carrier over HTTP can be, as data: what each is sent, and what its answers and calls look like.

Written as on a command line; `chappe carrier set` changes single settings on top of them.
docs/operators/http-carriers.md has the commands of each, and what each needs at the provider.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

# SMS Partner v1, documentation of 2024 and 2025: JSON both ways. {service} is gamme: 1 premium, 2 low cost.
_SMSPARTNER: Final = {
    "url": "https://api.smspartner.fr/v1/send",
    "service": "1",
    "body": '{"apiKey":"{password}","phoneNumbers":"{to}","message":"{text}","sender":"{sender_name}",'
    '"gamme":"{service:int}","isUnicode":"{unicode_1}","urlDlr":"{receipt_url}","urlResponse":"{reply_url}"}',
    "taken_when": "success=true",
    "id_path": "message_id",
    "code_path": "code",
    "message_path": "message|error.0.message|errors.0.message",
    "codes": "1=config:credentials_refused,10=config:credentials_refused,20=config:account_disabled,"
    "30=config:account_blocked,40=config:access_refused,96=config:address_refused,11=config:credit,"
    "2=refused:number,3=refused:number,4=refused:number,5=refused:number,55=refused:number,13=refused:no_price,"
    "9=refused:request_refused,43=refused:text,52=refused:text_too_long,42=refused:text_too_long,"
    "44=refused:sender,992=refused:sender,51=config:access_refused,22=retry:window,23=retry:window,"
    "90=refused:request_refused,404=config:address_unknown,413=refused:text_too_long,429=throttle,500=retry",
    "receipt_id": "msgId|messageId|message_id",
    "receipt_state": "status",
    "receipt_number": "phone|phoneNumber|phone_number",
    "receipt_states": "delivered=delivered,not delivered=undelivered,ko=rejected,waiting=in_transit",
    "reply_from": "phone_number|msisdn",
    "reply_to": "to",
    "reply_text": "text",
    "reply_id": "messageId",
    "reply_reference": "concat-ref",
    "reply_total": "concat-total",
    "reply_part": "concat-part",
}

# AllMySMS, REST API: JSON and Basic authentication; 201 with code 100 or 101. Its calls are flat fields.
_ALLMYSMS: Final = {
    "url": "https://api.allmysms.com/sms/send/",
    "auth": "basic",
    "body": '{"from":"{sender_name}","to":"{to_digits}","text":"{text}","cliMsgId":"{id}"}',
    "taken_when": "code=100|101",
    "id_path": "smsId",
    "code_path": "code",
    "message_path": "description",
    "codes": "102=config:credentials_refused,103=config:credit,104=config:credit,110=refused:text,"
    "111=refused:text_too_long,112=refused:number,113=refused:number,114=refused:number,115=retry:window,"
    "116=refused:sender,118=config:access_refused,1005=refused:request_refused,413=refused:text_too_long,"
    "404=config:address_unknown,429=throttle,500=retry",
    "receipt_id": "smsId",
    "receipt_state": "status",
    "receipt_error": "statusText",
    "receipt_number": "phoneNumber",
    "receipt_states": "1=delivered,2=undelivered,3=in_transit,4=rejected,5=rejected",
    "reply_from": "phoneNumber",
    "reply_text": "message",
    "reply_id": "smsMoId",
}

# Twilio Programmable Messaging, 2010-04-01: forms both ways, an answer in JSON. {user}: the account SID. {service}: a
# messaging service, empty for a sender's number or name. Error codes: Twilio's error and warning dictionary.
_TWILIO: Final = {
    "url": "https://api.twilio.com/2010-04-01/Accounts/{user}/Messages.json",
    "format": "form",
    "auth": "basic",
    "body": '{"To":"{to}","From":"{sender}","MessagingServiceSid":"{service}","Body":"{text}",'
    '"ValidityPeriod":"{validity_s}","StatusCallback":"{receipt_url}"}',
    "id_path": "sid",
    "code_path": "code",
    "message_path": "message",
    "codes": "20003=config:credentials_refused,20404=config:address_unknown,20429=throttle,"
    "20005=config:account_disabled,21211=refused:number,21212=refused:sender,21408=refused:destination_refused,21601=refused:sender,"
    "21602=refused:text,21603=refused:sender,21604=refused:number,21606=refused:sender,21610=refused:opted_out,"
    "21611=throttle,21612=refused:destination_refused,21614=refused:number,21617=refused:text_too_long,"
    "21619=refused:text,21635=refused:number,21659=refused:sender,21703=config:service,21705=config:service,"
    "30001=throttle,63038=throttle",
    "receipt_id": "MessageSid|SmsSid",
    "receipt_state": "MessageStatus|SmsStatus",
    "receipt_error": "ErrorCode",
    "receipt_number": "To",
    "receipt_reasons": "30003=absent_subscriber,30004=blocked,30005=unknown_subscriber,30006=unknown_subscriber,"
    "30007=spam,30034=sender",
    "receipt_states": "delivered=delivered,read=delivered,undelivered=undelivered,failed=rejected,canceled=rejected,"
    "accepted=in_transit,scheduled=in_transit,queued=in_transit,sending=in_transit,sent=in_transit",
    "reply_from": "From",
    "reply_to": "To",
    "reply_text": "Body",
    "reply_id": "MessageSid|SmsSid",
    "callback_sign": "twilio",
    "callback_body": "<Response></Response>",  # any text would be sent to the subscriber as an answer
    "callback_type": "text/xml",
    "validity_s": "36000",  # the longest ValidityPeriod
}

# OVHcloud, API 1.0: JSON; {user} application key, {password} application secret, {service} such as sms-ab1234-1.
# Its receipts are GET with id, ptt, date, description (the state) and descriptionDlr; ptt is the reason.
_OVH: Final = {
    "url": "https://eu.api.ovh.com/1.0/sms/{service}/jobs",
    "sign": "ovh",
    "headers": '{"X-Ovh-Application":"{user}","X-Ovh-Consumer":"{consumer_key}"}',
    "body": '{"receivers":["{to}"],"message":"{text}","sender":"{sender_name}","charset":"UTF-8","coding":"{coding}",'
    '"class":"{class}","noStopClause":true,"priority":"high","senderForResponse":"{nameless}",'
    '"validityPeriod":"{validity_min}"}',
    "taken_when": "validReceivers.0=*",
    "id_path": "ids.0",
    "code_path": "errorCode",
    "message_path": "message",
    "receipt_id": "id",
    "receipt_state": "description",
    "receipt_error": "ptt",
    "receipt_reasons": "8=expired,23=unknown_subscriber,24=absent_subscriber,25=network,26=absent_subscriber,28=spam",
    "receipt_states": "1=delivered,2=undelivered,16=rejected,0=in_transit,4=in_transit,8=in_transit",
    "reply_from": "senderid",
    "reply_to": "shortcode",
    "reply_text": "message",
    "reply_id": "id",
}

# SMSGate (capcom6), an Android phone, over its cloud server; over the local network: --set url=http://PHONE:8080/messages
# {service}: 1 or 2 for the SIM card, empty for the phone's choice. Each webhook is for one event.
_SMSGATE: Final = {
    "url": "https://api.sms-gate.app/3rdparty/v1/messages",
    "auth": "basic",
    "body": '{"textMessage":{"text":"{text}"},"phoneNumbers":["{to}"],"simNumber":"{service:int}",'
    '"withDeliveryReport":true,"ttl":"{validity_s}"}',
    "id_path": "id",
    "message_path": "message",
    "receipt_id": "payload.messageId",
    "receipt_state": "event",
    "receipt_error": "payload.reason",
    "receipt_number": "payload.phoneNumber",
    "receipt_states": "sms:sent=in_transit,sms:delivered=delivered,sms:failed=undelivered",
    "reply_from": "payload.sender|payload.phoneNumber",
    "reply_to": "payload.recipient",
    "reply_text": "payload.message",
    "reply_id": "payload.messageId",
    "validity_s": "86400",
}

PRESETS: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "smspartner": _SMSPARTNER,
        "allmysms": _ALLMYSMS,
        "twilio": _TWILIO,
        "ovh": _OVH,
        "smsgate": _SMSGATE,
        "custom": {},
    }
)
