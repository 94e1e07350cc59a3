<?php
// An XML flow in a form, by curl; a transfer below 1 KiB a second is given up after a second.
$url = 'https://api.www.allmysms.com/http/9.0/sendSms/';
$login = 'yourlogin';
$apiKey = 'yourapikey';
$message = 'Envoi de SMS test avec AllMySMS.com';
$sender = 'allmysms';
$msisdn = '33612345678';
$smsData = "<DATA>
   <MESSAGE><![CDATA[" . $message . "]]></MESSAGE>
   <TPOA>" . $sender . "</TPOA>
   <SMS>
      <MOBILEPHONE>" . $msisdn . "</MOBILEPHONE>
   </SMS>
</DATA>";
$fields = array('login' => $login, 'apiKey' => $apiKey, 'smsData' => $smsData);
$fieldsString = http_build_query($fields);
try {
    $ch = curl_init();
    curl_setopt($ch, CURLOPT_URL, $url);
    curl_setopt($ch, CURLOPT_POST, count($fields));
    curl_setopt($ch, CURLOPT_POSTFIELDS, $fieldsString);
    curl_setopt($ch, CURLOPT_RETURNTRANSFER, true);
    curl_setopt($ch, CURLOPT_CONNECTTIMEOUT, 10);
    curl_setopt($ch, CURLOPT_LOW_SPEED_LIMIT, 1024);
    curl_setopt($ch, CURLOPT_LOW_SPEED_TIME, 1);
    $result = curl_exec($ch);
    echo $result;
    curl_close($ch);
} catch (Exception $e) {
    echo 'unreachable or too slow ' . $e->getMessage();
}
