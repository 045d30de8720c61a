"""Writes a config's jobs down for those who start programs at their times: cron, systemd, Kubernetes.

place      where the commands are to run, and what they are called
cron       lines of a crontab
systemd    a service and a timer for each job
k8s        a RayCronJob of KubeRay's for each job, with the config
emission   the door: `text(...)`
"""
