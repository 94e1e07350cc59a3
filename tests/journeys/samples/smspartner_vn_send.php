<?php
// Send from a long number: JSON by curl, which labels it as a form.
$fields = array(
    'apiKey' => 'YOUR API KEY',
    'to' => '336xxxxxxxx',
    'from' => '337xxxxxxxx',
    'message' => 'This is your message'
);
$curl = curl_init();
curl_setopt($curl, CURLOPT_URL, 'https://api.smspartner.fr/v1/vn/send');
curl_setopt($curl, CURLOPT_RETURNTRANSFER, true);
curl_setopt($curl, CURLOPT_TIMEOUT, 10);
curl_setopt($curl, CURLOPT_POST, 1);
curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($fields));
$result = curl_exec($curl);
curl_close($curl);
echo $result;
?>
