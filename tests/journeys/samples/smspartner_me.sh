curl -s -H "Content-Type: application/json" -X GET https://api.smspartner.fr/v1/me?apiKey=YOUR_API_KEY
