"""A client by requests: it sends JSON without saying so, and reads the credits. Argument: send, or me."""

import json
import sys
from collections import OrderedDict

import requests

API_KEY = "YOUR API KEY"
URL = "https://api.smspartner.fr/v1"


class SMSPartner:
    def send_sms(self, to, sender, msg):
        data = OrderedDict([("apiKey", API_KEY), ("to", to), ("from", sender), ("message", msg)])
        return self.shown(requests.post(URL + "/vn/send", data=json.dumps(data), verify=False))

    def get_balance(self):
        return self.shown(requests.get(URL + "/me?apiKey=" + API_KEY))

    def shown(self, r):
        r_json = r.json()
        print(json.dumps(r_json))
        return r_json.get("success") is True


if __name__ == "__main__":
    client = SMSPartner()
    if sys.argv[1] == "send":
        status = client.send_sms("336xxxxxxxx", "337xxxxxxxx", "a message by requests")
    else:
        status = client.get_balance()
    sys.exit(0 if status else 1)
