
import calls.models.fields
import django.core.validators
import django.db.models.deletion
import tenants.models.base
import tenants.models.tenant
import uuid
from django.db import migrations, models

from tenants.rls import CompositeTenantForeignKey, EnableTenantRLS


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0002_immutability_and_search'),
        ('calls', '0002_carriers'),
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='call',
            name='greeting',
            field=models.TextField(blank=True, help_text="What is said first instead of the agent's own", verbose_name='greeting'),
        ),
        migrations.AddField(
            model_name='call',
            name='routing',
            field=models.CharField(blank=True, choices=[('always', 'no opening hours apply'), ('open', 'within the opening hours'), ('closed', 'outside the opening hours'), ('holiday', 'a holiday')], max_length=16, verbose_name='routed by'),
        ),
        migrations.AlterField(
            model_name='number',
            name='agent',
            field=tenants.models.base.TenantForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='numbers', to='agents.agent', verbose_name='agent'),
        ),
        migrations.AlterField(
            model_name='number',
            name='e164',
            field=calls.models.fields.E164Field(help_text='With + and country code: +52 55 1234 5678', max_length=16, unique=True, verbose_name='number'),
        ),
        migrations.CreateModel(
            name='OpeningHours',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('time_zone', models.CharField(help_text='By whose clock: America/Mexico_City, Europe/Madrid', max_length=64, validators=[tenants.models.tenant.validate_time_zone], verbose_name='time zone')),
                ('greeting', models.JSONField(blank=True, default=dict, verbose_name='greeting while closed')),
                ('agent', tenants.models.base.TenantForeignKey(blank=True, help_text='Empty: whoever answers otherwise', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.agent', verbose_name='agent while closed')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'opening hours',
                'verbose_name_plural': 'opening hours',
                'ordering': ['name'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='Holiday',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('day', models.DateField(verbose_name='date')),
                ('name', models.CharField(blank=True, max_length=100, verbose_name='name')),
                ('opens', models.TimeField(blank=True, help_text='Empty: closed all day', null=True, verbose_name='opens')),
                ('closes', models.TimeField(blank=True, null=True, verbose_name='closes')),
                ('greeting', models.JSONField(blank=True, default=dict, verbose_name='greeting while closed')),
                ('agent', tenants.models.base.TenantForeignKey(blank=True, help_text='Empty: whoever answers outside the opening hours', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.agent', verbose_name='agent while closed')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
                ('hours', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='holidays', to='calls.openinghours', verbose_name='opening hours')),
            ],
            options={
                'verbose_name': 'holiday',
                'verbose_name_plural': 'holidays',
                'ordering': ['day'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='OpeningInterval',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('weekday', models.PositiveSmallIntegerField(choices=[(0, 'Monday'), (1, 'Tuesday'), (2, 'Wednesday'), (3, 'Thursday'), (4, 'Friday'), (5, 'Saturday'), (6, 'Sunday')], verbose_name='day')),
                ('opens', models.TimeField(verbose_name='opens')),
                ('closes', models.TimeField(help_text='Not later than it opens: on the next day. 00:00 is midnight.', verbose_name='closes')),
                ('hours', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='intervals', to='calls.openinghours', verbose_name='opening hours')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'open',
                'verbose_name_plural': 'open',
                'ordering': ['weekday', 'opens', 'id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RoutingRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('agent', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.agent', verbose_name='agent')),
                ('hours', tenants.models.base.TenantForeignKey(blank=True, help_text='Empty: always open', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='rules', to='calls.openinghours', verbose_name='opening hours')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'routing rule',
                'verbose_name_plural': 'routing rules',
                'ordering': ['name'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RoutingChoice',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('caller_prefix', models.CharField(max_length=16, validators=[django.core.validators.RegexValidator('^\\+[1-9][0-9]{0,14}$', 'Write +, country code and further digits: +52 or +1415.')], verbose_name="caller's number begins with")),
                ('agent', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.agent', verbose_name='agent')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
                ('rule', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='choices', to='calls.routingrule', verbose_name='rule')),
            ],
            options={
                'verbose_name': 'agent by caller',
                'verbose_name_plural': 'agents by caller',
                'ordering': ['caller_prefix'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.AddField(
            model_name='number',
            name='rule',
            field=tenants.models.base.TenantForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='numbers', to='calls.routingrule', verbose_name='routing rule'),
        ),
        migrations.AddConstraint(
            model_name='number',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('agent__isnull', False), ('rule__isnull', True)), models.Q(('agent__isnull', True), ('rule__isnull', False)), _connector='OR'), name='calls_number_has_one_answer', violation_error_message='Choose an agent or a routing rule, one of the two.'),
        ),
        migrations.AddConstraint(
            model_name='openinghours',
            constraint=models.UniqueConstraint(fields=('tenant', 'name'), name='calls_hours_name', violation_error_message='There are opening hours of that name already.'),
        ),
        migrations.AddConstraint(
            model_name='holiday',
            constraint=models.UniqueConstraint(fields=('tenant', 'hours', 'day'), name='calls_holiday_once', violation_error_message='This date is in the list already.'),
        ),
        migrations.AddConstraint(
            model_name='holiday',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('closes__isnull', True), ('opens__isnull', True)), models.Q(('closes__isnull', False), ('opens__isnull', False)), _connector='OR'), name='calls_holiday_hours_are_whole', violation_error_message='Say both when it opens and when it closes, or neither.'),
        ),
        migrations.AddConstraint(
            model_name='openinginterval',
            constraint=models.UniqueConstraint(fields=('tenant', 'hours', 'weekday', 'opens'), name='calls_interval_opens_once', violation_error_message='The same day opens twice at the same time.'),
        ),
        migrations.AddConstraint(
            model_name='openinginterval',
            constraint=models.CheckConstraint(condition=models.Q(('weekday__gte', 0), ('weekday__lte', 6)), name='calls_interval_weekday'),
        ),
        migrations.AddConstraint(
            model_name='routingrule',
            constraint=models.UniqueConstraint(fields=('tenant', 'name'), name='calls_rule_name', violation_error_message='There is a rule of that name already.'),
        ),
        migrations.AddConstraint(
            model_name='routingchoice',
            constraint=models.UniqueConstraint(fields=('tenant', 'rule', 'caller_prefix'), name='calls_choice_prefix_once', violation_error_message='The same beginning is listed twice.'),
        ),
        migrations.AddConstraint(
            model_name='routingchoice',
            constraint=models.CheckConstraint(condition=models.Q(('caller_prefix__regex', '^\\+[1-9][0-9]{0,14}$')), name='calls_choice_prefix_is_a_number'),
        ),
        EnableTenantRLS("calls", "Holiday"),
        EnableTenantRLS("calls", "OpeningHours"),
        EnableTenantRLS("calls", "OpeningInterval"),
        EnableTenantRLS("calls", "RoutingChoice"),
        EnableTenantRLS("calls", "RoutingRule"),
        CompositeTenantForeignKey("calls", "Holiday", "agent"),
        CompositeTenantForeignKey("calls", "Holiday", "hours"),
        CompositeTenantForeignKey("calls", "Number", "rule"),
        CompositeTenantForeignKey("calls", "OpeningHours", "agent"),
        CompositeTenantForeignKey("calls", "OpeningInterval", "hours"),
        CompositeTenantForeignKey("calls", "RoutingChoice", "agent"),
        CompositeTenantForeignKey("calls", "RoutingChoice", "rule"),
        CompositeTenantForeignKey("calls", "RoutingRule", "agent"),
        CompositeTenantForeignKey("calls", "RoutingRule", "hours"),
    ]
