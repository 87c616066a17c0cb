// Package notify hands one message to one service that shows it to people, and collects many occurrences into one
// message. It knows nothing of events, rows and callbacks: an occurrence is a kind and a line of text.
//
// # Services
//
// A service is named by a URL. Nothing is sent before Send; [Validate] only reads the URL.
//
//	WeCom        wecom://<key of the group robot>
//	DingTalk     dingtalk://<access_token>?secret=SEC…        secret only for robots that sign
//	Feishu       feishu://<token>?secret=…                    or lark://open.feishu.cn/<token>?secret=…
//	Lark         lark://open.larksuite.com/<token>?secret=…
//	ServerChan   serverchan://<SendKey>                       Turbo (SCT…) and ServerChan³ (sctp<uid>t…)
//	Slack        slack://hook:<A>-<B>-<C>@webhook             or slack://xoxb:<…>@<channel id> for a bot's token
//	Telegram     telegram://<bot token>@telegram?chats=<id>,@<channel>
//	mail         smtp://<user>:<password>@<host>:<port>/?from=<address>&to=<address>,<address>
//	webhook      https://<host>/<path> or http://…            a POST of {"title": …, "message": …}
//	             generic://…, generic+https://…               shoutrrr's, with templates and headers of your own
//	Bark         bark://:<device key>@<host>/
//	ntfy         ntfy://<user>:<password>@<host>/<topic>
//	Gotify       gotify://<host>/<token>
//	Mattermost   mattermost://<user>@<host>/<token>/<channel>
//	Teams        teams://<host>/<path of the workflow>?…
//	PushBear     pushbear://<sendkey>?endpoint=<url>          see [NewPushBear]
//
// WeCom, Lark, Slack, Telegram, the generic webhook, Bark, ntfy, Gotify, Mattermost and Teams are those of shoutrrr
// v0.17.0, and take the parameters described at https://shoutrrr.nickfedor.com (title, colour, mentions and so on).
// DingTalk, ServerChan, PushBear and the conversation with the mail server are written here: shoutrrr has not got the
// first three, and its mail client sets no deadline once it is connected and does not encode a subject. Services of
// shoutrrr that bring no replaceable HTTP client (mqtt, logger) or that talk to their server while the URL is read
// (matrix) are left out.
//
// endpoint=<url> replaces scheme and host of the service, for a private gateway, and is understood by all services
// but the webhooks, whose host stands in the URL already. A path in it is put before the service's.
//
// proxy=<url> has the requests go through an http, https or socks5 proxy, as Telegram and Slack need it in places; its
// URL is percent-encoded, and may have a user and password. It is understood by all services but the webhooks and mail.
// The variables HTTPS_PROXY and the like have no effect: workers do not get them, since their values hold passwords.
//
// # Limits
//
// Every service cuts a message to the size it takes, at a whole character, with "…" at the end. Rates are kept by the
// [Collector]: WeCom and DingTalk 20 a minute, Feishu 100 a minute, ServerChan 5 a day (serverchan://…?perDay=<n> for
// paying users).
//
// # Failures
//
// The answer of a service is judged here and not by shoutrrr alone, whose Telegram client takes no answer for a success.
// Send returns an [Error]. No text of it shows a key, a token, a password or the path and query of a URL, whatever the
// service answered. A redirect is a failure. An answer is read up to 64 KiB. A Send without a deadline gets one of
// 15 seconds.
//
// # Concurrency
//
// Senders and the Collector are safe for concurrent use.
package notify
