// A visit as the Web Connector makes one, through a proxy that .NET's own tool has generated from our WSDL.
// Arguments: address, user name, password, a file with what is told of the company file at the first call.
using System;
using System.IO;
using System.Text.RegularExpressions;

class Visit
{
    static int Main(string[] given)
    {
        var service = new TieoutWebConnector { Url = given[0] };
        Expect("serverVersion", "Tieout", service.serverVersion());
        Expect("clientVersion", "", service.clientVersion("2.3.0.215"));
        Expect("a wrong password", "nvu", service.authenticate(given[1], "wrong")[1]);

        string[] begun = service.authenticate(given[1], given[2]);
        Expect("the length of authenticate's array", 4, begun.Length);
        Expect("the company file", "", begun[1]);
        Expect("a second PC", "busy", service.authenticate(given[1], given[2])[1]);

        string ticket = begun[0], about = File.ReadAllText(given[3]);
        int requests = 0, progress = 0;
        while (progress < 100)
        {
            string request = service.sendRequestXML(ticket, about, "C:\\Larkspür.qbw", "US", 13, 0);
            about = "";
            Match asked = Regex.Match(request, "<(\\w+)Rq requestID=\"([^\"]+)\"");
            if (!asked.Success)
                throw new Exception("No request, because: " + service.getLastError(ticket));
            requests++;
            progress = service.receiveResponseXML(ticket, NothingFound(asked), "", "");
            if (progress < 0)
                throw new Exception("Refused, because: " + service.getLastError(ticket));
        }
        Expect("getLastError", "Everything is up to date.", service.getLastError(ticket));
        Expect("closeConnection", "Done. What happened is in Tieout.", service.closeConnection(ticket));

        ticket = service.authenticate(given[1], given[2])[0];
        Expect("connectionError", "done", service.connectionError(ticket, "0x80040416", "not running"));
        string why = service.getLastError(ticket);
        if (!why.StartsWith("QuickBooks is not running"))
            throw new Exception("Not in plain words: " + why);
        service.closeConnection(ticket);
        Expect("a call after the visit", "", service.sendRequestXML(ticket, "", "", "US", 13, 0));
        Console.WriteLine("A .NET proxy completed a visit of " + requests + " requests.");
        return 0;
    }

    static string NothingFound(Match asked)
    {
        return "<?xml version=\"1.0\" ?><QBXML><QBXMLMsgsRs><" + asked.Groups[1] + "Rs requestID=\"" + asked.Groups[2]
            + "\" statusCode=\"1\" statusSeverity=\"Info\" statusMessage=\"Nothing found\"/></QBXMLMsgsRs></QBXML>";
    }

    static void Expect(string what, object wanted, object found)
    {
        if (!wanted.Equals(found))
            throw new Exception(what + ": " + (found ?? "null") + " instead of " + wanted);
    }
}
