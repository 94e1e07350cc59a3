curl -s -H "Content-Type: application/json" -X POST -d '{"apiKey":"YOUR API KEY","to":"336xxxxxxxx","from":"337xxxxxxxx","message":"test"}' https://api.smspartner.fr/v1/vn/send
