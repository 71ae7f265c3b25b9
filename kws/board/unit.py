"""The systemd unit of the listener, as closed as its work allows."""

from __future__ import annotations

UNIT = """\
[Unit]
Description=Keyword listener (kws)
Documentation=man:systemd.service(5)
After=sound.target

[Service]
Type=notify
ExecStart=/usr/local/bin/kws-listener --settings /etc/kws/kws.txt
Restart=always
RestartSec=2
WatchdogSec=30
TimeoutStartSec=20

# A user of its own, made for as long as it runs, who may open sound and GPIO devices and nothing else.
DynamicUser=yes
SupplementaryGroups=@GROUPS@
DevicePolicy=closed
DeviceAllow=char-alsa rw
DeviceAllow=char-gpiochip rw

NoNewPrivileges=yes
CapabilityBoundingSet=
AmbientCapabilities=
ProtectSystem=strict
ProtectHome=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
PrivateMounts=yes
PrivateTmp=yes
PrivateUsers=no
KeyringMode=private
LockPersonality=yes
MemoryDenyWriteExecute=yes
MemoryMax=64M
RemoveIPC=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
UMask=0077

[Install]
WantedBy=multi-user.target
"""
"""``@GROUPS@`` stands for those of audio and gpio that the device has: systemd starts no unit with a missing one."""

SETTINGS = """\
# Settings of kws-listener. A line is NAME = VALUE; remove the # before a line to use it.
# `kws-listener --help` explains each.

# device = USB
# channel = 1
# gain = 12
# model = mine.kws
# words = yes, no
# sensitivity = 0.6
# sensitivity = yes=0.4
# threshold = 0.95
# threshold = yes=0.98
# depth = adaptive
# gate = -55
# refractory = 1
# refractory = yes=2.5
# smoothing = 4
# exec = /usr/local/bin/my-program
# gpio = 17
# gpio-seconds = 1
# udp = 192.168.1.5:9000
# tcp = 192.168.1.5:9001
"""
"""What a new installation starts with: everything by default."""
