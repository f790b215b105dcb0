
import calls.models.fields
import django.core.validators
import django.db.models.deletion
import tenants.models.base
import uuid
from django.db import migrations, models

from tenants.rls import CompositeTenantForeignKey, EnableTenantRLS


class Migration(migrations.Migration):

    dependencies = [
        ('agents', '0002_immutability_and_search'),
        ('calls', '0006_leg_may_speak'),
        ('tenants', '0001_initial'),
    ]

    operations = [
        migrations.CreateModel(
            name='Campaign',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('name', models.CharField(max_length=100, verbose_name='name')),
                ('state', models.CharField(choices=[('draft', 'Draft'), ('running', 'Running'), ('stopped', 'Stopped'), ('broken', 'Stopped by itself'), ('finished', 'Finished')], default='draft', editable=False, max_length=16, verbose_name='state')),
                ('stop_reason', models.CharField(blank=True, editable=False, max_length=300, verbose_name='why it stopped')),
                ('calls_per_minute', models.PositiveSmallIntegerField(default=10, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(600)], verbose_name='calls per minute')),
                ('max_at_once', models.PositiveSmallIntegerField(default=5, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(500)], verbose_name='calls at once')),
                ('breaker_sample', models.PositiveSmallIntegerField(default=20, validators=[django.core.validators.MinValueValidator(5), django.core.validators.MaxValueValidator(500)], verbose_name='of the last calls')),
                ('breaker_share', models.PositiveSmallIntegerField(default=50, validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(100)], verbose_name='stop when so many failed (%)')),
                ('paced_until', models.DateTimeField(editable=False, null=True)),
                ('watched_since', models.DateTimeField(editable=False, null=True)),
                ('started_at', models.DateTimeField(editable=False, null=True, verbose_name='started at')),
                ('ended_at', models.DateTimeField(editable=False, null=True, verbose_name='ended at')),
                ('agent', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='agents.agent', verbose_name='agent')),
                ('number', tenants.models.base.TenantForeignKey(blank=True, help_text="Empty: the agent's own", null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='calls.number', verbose_name='number shown')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'campaign',
                'verbose_name_plural': 'campaigns',
                'ordering': ['-id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='CampaignContact',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('number', calls.models.fields.E164Field(max_length=16, verbose_name='number')),
                ('line', models.PositiveIntegerField(verbose_name='line')),
                ('attributes', models.JSONField(blank=True, default=dict, verbose_name='other columns')),
                ('state', models.CharField(choices=[('waiting', 'Waiting'), ('calling', 'Being called'), ('done', 'Done'), ('given_up', 'Given up'), ('skipped', 'Skipped')], default='waiting', max_length=16, verbose_name='state')),
                ('outcome', models.CharField(blank=True, choices=[('talked', 'Talked'), ('voicemail', 'Voicemail'), ('busy', 'Busy'), ('no_answer', 'No answer'), ('rejected', 'Rejected'), ('failed', 'Failed'), ('broken_off', 'Broken off'), ('unknown_number', 'Unknown number'), ('stopped', 'Stopped while it rang'), ('do_not_call', 'On the do-not-call list'), ('outside_hours', 'Never within the calling hours'), ('invalid_number', 'Cannot be called')], max_length=16, verbose_name='last outcome')),
                ('tries', models.PositiveSmallIntegerField(default=0, verbose_name='calls so far')),
                ('next_at', models.DateTimeField(verbose_name='not before')),
                ('campaign', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='contacts', to='calls.campaign', verbose_name='campaign')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'contact',
                'verbose_name_plural': 'contacts',
                'ordering': ['line', 'id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='CampaignAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('ordinal', models.PositiveSmallIntegerField(verbose_name='try')),
                ('outcome', models.CharField(blank=True, choices=[('talked', 'Talked'), ('voicemail', 'Voicemail'), ('busy', 'Busy'), ('no_answer', 'No answer'), ('rejected', 'Rejected'), ('failed', 'Failed'), ('broken_off', 'Broken off'), ('unknown_number', 'Unknown number'), ('stopped', 'Stopped while it rang'), ('do_not_call', 'On the do-not-call list'), ('outside_hours', 'Never within the calling hours'), ('invalid_number', 'Cannot be called')], max_length=16, verbose_name='outcome')),
                ('ended_at', models.DateTimeField(null=True, verbose_name='ended at')),
                ('call', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to='calls.call', verbose_name='call')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
                ('contact', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='attempts', to='calls.campaigncontact', verbose_name='contact')),
            ],
            options={
                'verbose_name': 'try',
                'verbose_name_plural': 'tries',
                'ordering': ['id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.CreateModel(
            name='RetryRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('public_id', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('created_at', models.DateTimeField(auto_now_add=True, verbose_name='created at')),
                ('updated_at', models.DateTimeField(auto_now=True, verbose_name='updated at')),
                ('outcome', models.CharField(choices=[('voicemail', 'Voicemail'), ('busy', 'Busy'), ('no_answer', 'No answer'), ('rejected', 'Rejected'), ('failed', 'Failed'), ('broken_off', 'Broken off')], max_length=16, verbose_name='after')),
                ('tries', models.PositiveSmallIntegerField(help_text='Counting the first one, whatever became of those before', validators=[django.core.validators.MinValueValidator(2), django.core.validators.MaxValueValidator(10)], verbose_name='calls in all')),
                ('after_minutes', models.PositiveIntegerField(validators=[django.core.validators.MinValueValidator(1), django.core.validators.MaxValueValidator(10080)], verbose_name='minutes later')),
                ('campaign', tenants.models.base.TenantForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='retries', to='calls.campaign', verbose_name='campaign')),
                ('tenant', models.ForeignKey(editable=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='tenants.tenant', verbose_name='tenant')),
            ],
            options={
                'verbose_name': 'retry',
                'verbose_name_plural': 'retries',
                'ordering': ['id'],
                'abstract': False,
                'base_manager_name': 'objects',
                'default_manager_name': 'objects',
            },
        ),
        migrations.AddConstraint(
            model_name='campaign',
            constraint=models.CheckConstraint(condition=models.Q(('calls_per_minute__gte', 1), ('calls_per_minute__lte', 600), ('max_at_once__gte', 1), ('max_at_once__lte', 500), ('breaker_sample__gte', 5), ('breaker_share__gte', 1), ('breaker_share__lte', 100)), name='calls_campaign_limits'),
        ),
        migrations.AddIndex(
            model_name='campaigncontact',
            index=models.Index(fields=['tenant', 'campaign', 'state', 'next_at'], name='calls_contact_due'),
        ),
        migrations.AddConstraint(
            model_name='campaigncontact',
            constraint=models.UniqueConstraint(fields=('tenant', 'campaign', 'number'), name='calls_contact_once'),
        ),
        migrations.AddConstraint(
            model_name='campaigncontact',
            constraint=models.CheckConstraint(condition=models.Q(('number__regex', '^\\+[1-9][0-9]{6,14}$')), name='calls_contact_is_e164'),
        ),
        migrations.AddIndex(
            model_name='campaignattempt',
            index=models.Index(condition=models.Q(('outcome', '')), fields=['tenant', 'contact'], name='calls_attempt_open'),
        ),
        migrations.AddConstraint(
            model_name='campaignattempt',
            constraint=models.UniqueConstraint(fields=('tenant', 'contact', 'ordinal'), name='calls_attempt_once'),
        ),
        migrations.AddConstraint(
            model_name='campaignattempt',
            constraint=models.UniqueConstraint(fields=('tenant', 'call'), name='calls_attempt_per_call'),
        ),
        migrations.AddConstraint(
            model_name='retryrule',
            constraint=models.UniqueConstraint(fields=('tenant', 'campaign', 'outcome'), name='calls_retry_rule_once', violation_error_message='There is a rule for this outcome already.'),
        ),
        migrations.AddConstraint(
            model_name='retryrule',
            constraint=models.CheckConstraint(condition=models.Q(('after_minutes__gte', 1), ('tries__gte', 1), ('tries__lte', 10)), name='calls_retry_rule_limits'),
        ),
        EnableTenantRLS("calls", "Campaign"),
        EnableTenantRLS("calls", "CampaignAttempt"),
        EnableTenantRLS("calls", "CampaignContact"),
        EnableTenantRLS("calls", "RetryRule"),
        CompositeTenantForeignKey("calls", "Campaign", "agent"),
        CompositeTenantForeignKey("calls", "Campaign", "number"),
        CompositeTenantForeignKey("calls", "CampaignAttempt", "call"),
        CompositeTenantForeignKey("calls", "CampaignAttempt", "contact"),
        CompositeTenantForeignKey("calls", "CampaignContact", "campaign"),
        CompositeTenantForeignKey("calls", "RetryRule", "campaign"),
    ]
