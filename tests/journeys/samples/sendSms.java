import java.io.*;
import java.net.*;

// A GET whose target holds the flow as it is, brackets and all; only the message is encoded.
public class sendSms {
    public static void main(String[] args) throws Exception {
        String phoneNumber = "33612345678";
        String sender = "allmysms";
        String message = URLEncoder.encode("Envoi de SMS en Java avec www.allmysms.com STOP au 36180", "UTF-8");
        String login = "yourlogin";
        String apiKey = "yourapikey";
        String smsData = "<DATA><MESSAGE><![CDATA[["+message+"]]></MESSAGE><TPOA>"+sender+"</TPOA><SMS><MOBILEPHONE>"+phoneNumber+"</MOBILEPHONE></SMS></DATA>";
        String url = "https://api.www.allmysms.com/http/[version]/sendSms/?login=" + login + "&apiKey=" + apiKey + "&smsData=" + smsData;
        URL client = new URL(url);
        URLConnection conn = client.openConnection();
        InputStream responseBody = conn.getInputStream();
        byte[] contents = new byte[1024];
        int bytesRead = 0;
        String strFileContents = null;
        while ((bytesRead = responseBody.read(contents)) != -1) {
            strFileContents = new String(contents, 0, bytesRead);
        }
        responseBody.close();
        System.out.println(strFileContents);
    }
}
